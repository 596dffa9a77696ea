"""Conversion between NumPy arrays and `TensorProto`.

The rules are those of TensorFlow's `Tensor::FromProto`. Client and server use their own message
classes: only the field names matter. Strings are object arrays of bytes; `signatures.arrays`
converts them from and to Python strings. bfloat16, which NumPy lacks, is decoded to float32.
"""

import math
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "BFLOAT16",
    "MAX_FILLED_BYTES",
    "TensorSizeError",
    "decode",
    "encode",
    "type_name",
    "type_number",
]

BFLOAT16 = 14
STRING = 7
# A typed field may hold fewer values than its shape has elements: the last value is repeated. The
# bound keeps a message of a few bytes from taking gigabytes.
MAX_FILLED_BYTES = 2**22
_MAX_RANK = 64  # NumPy's; TensorFlow's is 254


class TensorSizeError(ValueError):
    """A message declares a tensor much larger than its content."""


class _ElementType(NamedTuple):
    number: int  # in TensorFlow's DataType
    name: str
    field: str  # field of TensorProto that holds the values
    dtype: type[np.generic]  # dtype of the field's values as an array


_ELEMENT_TYPES = (
    _ElementType(1, "float32", "float_val", np.float32),
    _ElementType(2, "float64", "double_val", np.float64),
    _ElementType(3, "int32", "int_val", np.int32),
    _ElementType(4, "uint8", "int_val", np.uint8),
    _ElementType(5, "int16", "int_val", np.int16),
    _ElementType(6, "int8", "int_val", np.int8),
    _ElementType(STRING, "string", "string_val", np.object_),
    _ElementType(8, "complex64", "scomplex_val", np.complex64),
    _ElementType(9, "int64", "int64_val", np.int64),
    _ElementType(10, "bool", "bool_val", np.bool_),
    _ElementType(BFLOAT16, "bfloat16", "half_val", np.uint16),
    _ElementType(17, "uint16", "int_val", np.uint16),
    _ElementType(18, "complex128", "dcomplex_val", np.complex128),
    _ElementType(19, "float16", "half_val", np.uint16),
    _ElementType(22, "uint32", "uint32_val", np.uint32),
    _ElementType(23, "uint64", "uint64_val", np.uint64),
)
_BY_NUMBER = {element_type.number: element_type for element_type in _ELEMENT_TYPES}
_BY_NAME = {element_type.name: element_type for element_type in _ELEMENT_TYPES}


def type_name(number: int) -> str:
    """Returns the name, such as `"int32"`, of a number of TensorFlow's `DataType`."""
    return _BY_NUMBER[number].name if number in _BY_NUMBER else f"type {number}"


def type_number(name: str) -> int:
    """Returns the number in TensorFlow's `DataType` of a name, such as `"int32"`."""
    return _BY_NAME[name].number


def encode(array: np.ndarray, proto: Any) -> None:
    """Writes an array into an empty `TensorProto`, with the values in the typed field.

    Args:
        array: array of any shape and of an element type of TensorFlow; strings as an object
            array of bytes.
        proto: the message to fill.

    Raises:
        ValueError: if a `TensorProto` cannot hold the array's type.

    Example:

    >>> import numpy as np
    >>> from keras_s2s.serving import messages, tensor_codec
    >>> proto = messages.TensorProto()
    >>> tensor_codec.encode(np.array([1.5, 2.0], np.float32), proto)
    >>> tensor_codec.decode(proto)
    array([1.5, 2. ], dtype=float32)
    """
    name = "string" if array.dtype == np.object_ else array.dtype.name
    if name not in _BY_NAME:
        raise ValueError(f"an array of {name} cannot be sent; expected one of {list(_BY_NAME)}")
    element_type = _BY_NAME[name]
    proto.dtype = element_type.number
    proto.tensor_shape.SetInParent()  # a scalar has a shape too
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    values = np.ascontiguousarray(array).reshape(-1)
    if element_type.field == "half_val":
        values = values.view(np.uint16)
    elif element_type.field in ("scomplex_val", "dcomplex_val"):
        values = values.view(values.real.dtype)  # real and imaginary parts alternate
    getattr(proto, element_type.field).extend(values.tolist())


def decode(proto: Any) -> np.ndarray:
    """Returns the array of a `TensorProto`.

    As in TensorFlow, `tensor_content` takes precedence over the typed field, a typed field with
    too few values repeats its last value, one with too many is cut, an empty one means zeros,
    and a tensor of unknown rank is a scalar.

    Args:
        proto: the message.

    Returns:
        An array of the message's shape; an object array of bytes for strings.

    Raises:
        ValueError: if the type is unknown, a dimension is negative or the content has the wrong
            size. No memory is allocated before these checks.
        TensorSizeError: if the elements of the shape without a value would take more than
            `MAX_FILLED_BYTES`.
    """
    if proto.dtype not in _BY_NUMBER:
        raise ValueError(f"a tensor has {type_name(proto.dtype)}, which cannot be read")
    element_type = _BY_NUMBER[proto.dtype]
    shape = _shape(proto.tensor_shape)
    count = math.prod(shape)
    if not count:
        values = np.zeros(0, element_type.dtype)
    elif proto.tensor_content:
        values = _from_content(element_type, proto.tensor_content, count)
    else:
        values = _from_field(element_type, getattr(proto, element_type.field), count)
    if element_type.name == "float16":
        values = values.view(np.float16)
    elif element_type.name == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


def _shape(proto: Any) -> tuple[int, ...]:
    if proto.unknown_rank:
        return ()
    if len(proto.dim) > _MAX_RANK:  # the product of many sizes alone could take hours
        raise ValueError(f"a tensor has the rank {len(proto.dim)}; expected at most {_MAX_RANK}")
    shape = tuple(dimension.size for dimension in proto.dim)
    if any(size < 0 for size in shape):
        raise ValueError(f"a tensor has the shape {list(shape)}; expected no negative size")
    return shape


def _from_content(element_type: _ElementType, content: bytes, count: int) -> np.ndarray:
    if element_type.number == STRING:
        return _as_objects(_split_strings(content, count))
    expected = count * np.dtype(element_type.dtype).itemsize
    if len(content) != expected:
        raise ValueError(f"tensor_content has {len(content)} bytes; expected {expected}")
    return np.frombuffer(content, element_type.dtype).copy()


def _from_field(element_type: _ElementType, field: Any, count: int) -> np.ndarray:
    _check_filled_size(element_type, field, count)
    if element_type.number == STRING:
        values = _as_objects(list(field[:count]) or [b""])
    elif element_type.field in ("scomplex_val", "dcomplex_val"):
        pairs = np.array(field[: 2 * count], np.float64)
        complex_values = pairs[0 : len(pairs) // 2 * 2 : 2] + 1j * pairs[1::2]
        values = complex_values.astype(element_type.dtype)
    else:
        # the field may be wider than the element type: int_val holds uint8
        field_dtype = np.uint64 if element_type.field == "uint64_val" else None
        values = np.array(field[:count], field_dtype).astype(element_type.dtype)
    if not len(values):
        values = np.zeros(1, element_type.dtype)
    if len(values) == count:
        return values
    return np.concatenate([values, np.full(count - len(values), values[-1], values.dtype)])


def _check_filled_size(element_type: _ElementType, field: Any, count: int) -> None:
    size = np.dtype(element_type.dtype).itemsize
    if element_type.number == STRING:
        size += len(field[-1]) if field else 0
    if (count - len(field)) * size > MAX_FILLED_BYTES:
        raise TensorSizeError(
            f"expected the values of all {count:,} elements, got {len(field):,}: the last value is"
            f" repeated over at most {MAX_FILLED_BYTES:,} bytes"
        )


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """Splits TensorFlow's list of strings: all lengths as varints, then all bytes."""
    lengths: list[int] = []
    position = 0
    while len(lengths) < count:
        length, shift = 0, 0
        while True:
            if position == len(content) or shift > 28:
                raise ValueError("tensor_content ends within the lengths of its strings")
            byte = content[position]
            position += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError(f"tensor_content has {len(content)} bytes; its strings need another size")
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _as_objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
