"""NumPy arrays <-> `TensorProto`, by the rules of TensorFlow's own `Tensor::FromProto`.

Both sides use it, each with its own message class: only the field names matter. Strings are
object arrays of bytes here; `signatures.arrays` converts them from and to Python's strings.
bfloat16, which NumPy lacks, is decoded to float32.
"""

import math
from typing import NamedTuple

import numpy as np

__all__ = ["BFLOAT16", "decode", "encode", "type_name", "type_number"]

BFLOAT16 = 14
STRING = 7


class _Kind(NamedTuple):
    number: int  # of TensorFlow's DataType
    name: str
    field: str  # of TensorProto
    dtype: type  # of the field's values as an array


_KINDS = (
    _Kind(1, "float32", "float_val", np.float32),
    _Kind(2, "float64", "double_val", np.float64),
    _Kind(3, "int32", "int_val", np.int32),
    _Kind(4, "uint8", "int_val", np.uint8),
    _Kind(5, "int16", "int_val", np.int16),
    _Kind(6, "int8", "int_val", np.int8),
    _Kind(STRING, "string", "string_val", np.object_),
    _Kind(8, "complex64", "scomplex_val", np.complex64),
    _Kind(9, "int64", "int64_val", np.int64),
    _Kind(10, "bool", "bool_val", np.bool_),
    _Kind(BFLOAT16, "bfloat16", "half_val", np.uint16),
    _Kind(17, "uint16", "int_val", np.uint16),
    _Kind(18, "complex128", "dcomplex_val", np.complex128),
    _Kind(19, "float16", "half_val", np.uint16),
    _Kind(22, "uint32", "uint32_val", np.uint32),
    _Kind(23, "uint64", "uint64_val", np.uint64),
)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_NAME = {kind.name: kind for kind in _KINDS}


def type_name(number: int) -> str:
    """The element type's name, such as `"int32"`, for a number of TensorFlow's `DataType`."""
    return _BY_NUMBER[number].name if number in _BY_NUMBER else f"type {number}"


def type_number(name: str) -> int:
    """The number in TensorFlow's `DataType` of an element type's name, such as `"int32"`."""
    return _BY_NAME[name].number


def encode(array: np.ndarray, proto) -> None:
    """Writes an array into an empty `TensorProto`, the values in the typed field.

    Args:
        array: of any shape and of a type in TensorFlow's own names; strings as an object array
            of bytes.
        proto: the message to fill.

    Raises:
        ValueError: if the array's type has no place in a `TensorProto`.
    """
    name = "string" if array.dtype == np.object_ else array.dtype.name
    if name not in _BY_NAME:
        raise ValueError(f"an array of {name} cannot be sent; expected one of {list(_BY_NAME)}")
    kind = _BY_NAME[name]
    proto.dtype = kind.number
    proto.tensor_shape.SetInParent()  # a scalar has a shape too
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    values = np.ascontiguousarray(array).reshape(-1)
    if kind.field == "half_val":
        values = values.view(np.uint16)
    elif kind.field in ("scomplex_val", "dcomplex_val"):
        values = values.view(values.real.dtype)  # real and imaginary parts take turns
    getattr(proto, kind.field).extend(values.tolist())


def decode(proto) -> np.ndarray:
    """The array that a `TensorProto` stands for.

    As in TensorFlow, `tensor_content` goes before the typed field, a typed field with too few
    values repeats its last one, one with too many is cut, an empty one means zeros, and a tensor
    of unknown rank is a scalar.

    Args:
        proto: the message.

    Returns:
        The array in the message's own shape; object array of bytes for strings.

    Raises:
        ValueError: if the type is unknown, a dimension negative or the content of another size.
    """
    if proto.dtype not in _BY_NUMBER:
        raise ValueError(f"a tensor has {type_name(proto.dtype)}, which cannot be read")
    kind = _BY_NUMBER[proto.dtype]
    shape = _shape(proto.tensor_shape)
    count = math.prod(shape)
    if not count:
        values = np.zeros(0, kind.dtype)
    elif proto.tensor_content:
        values = _from_content(kind, proto.tensor_content, count)
    else:
        values = _from_field(kind, getattr(proto, kind.field), count)
    if kind.name == "float16":
        values = values.view(np.float16)
    elif kind.name == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


def _shape(proto):
    if proto.unknown_rank:
        return ()
    shape = tuple(dimension.size for dimension in proto.dim)
    if any(size < 0 for size in shape):
        raise ValueError(f"a tensor has the shape {list(shape)}; expected no negative size")
    return shape


def _from_content(kind, content, count):
    if kind.number == STRING:
        return _as_objects(_split_strings(content, count))
    wanted = count * np.dtype(kind.dtype).itemsize
    if len(content) != wanted:
        raise ValueError(f"tensor_content has {len(content)} bytes; expected {wanted}")
    return np.frombuffer(content, kind.dtype).copy()


def _from_field(kind, field, count):
    if kind.number == STRING:
        values = _as_objects(list(field[:count]) or [b""])
    elif kind.field in ("scomplex_val", "dcomplex_val"):
        pairs = np.array(field[: 2 * count], np.float64)
        values = (pairs[0 : len(pairs) // 2 * 2 : 2] + 1j * pairs[1::2]).astype(kind.dtype)
    else:
        # the field may be wider than the element type: int_val holds uint8
        wide = np.uint64 if kind.field == "uint64_val" else None
        values = np.array(field[:count], wide).astype(kind.dtype)
    if not len(values):
        values = np.zeros(1, kind.dtype)
    if len(values) == count:
        return values
    return np.concatenate([values, np.full(count - len(values), values[-1], values.dtype)])


def _split_strings(content, count):
    """TensorFlow's list of strings: all lengths as varints, then all the bytes."""
    lengths, place = [], 0
    while len(lengths) < count:
        length, shift = 0, 0
        while True:
            if place == len(content) or shift > 28:
                raise ValueError("tensor_content ends within the lengths of its strings")
            byte = content[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise ValueError(f"tensor_content has {len(content)} bytes; its strings need another size")
    strings = []
    for length in lengths:
        strings.append(content[place : place + length])
        place += length
    return strings


def _as_objects(values):
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
