"""Python values as arrays of a signature's element types, and back; strings are UTF-8 bytes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_s2s.errors import UserError

__all__ = ["decode_text", "string_array", "to_array", "to_text"]


def to_array(
    value: Any, name: str, dtype: str | None = None, encoding_errors: str = "strict"
) -> np.ndarray:
    """Converts what a Python caller passes to an array of a type that TensorFlow has.

    Args:
        value: a number, bool, str, bytes, (nested) sequence of them, or array. Whole numbers
            become int32 (int64 where they do not fit), other numbers float32; an array keeps
            its type. Strings are encoded as UTF-8.
        name: the argument's name, for the errors.
        dtype: the element type to convert to, such as `"float32"`; None keeps the above.
        encoding_errors: how `str.encode` treats what is not valid Unicode.

    Returns:
        The array; strings as an object array of bytes.

    Raises:
        UserError: naming the argument, if its rows have different lengths, it mixes types or it
            does not fit the requested type.

    Example:

    >>> from keras_s2s.signatures.arrays import to_array
    >>> to_array([1, 2], "beam_size", "float32").tolist()
    [1.0, 2.0]
    """
    array = _as_array(value, name, np.object_ if dtype == "string" else None)
    if array.dtype.kind == "O" and dtype != "string" and (array.size or dtype):
        array = _as_array(array.tolist(), name)  # an array of Python's numbers
    if array.dtype.kind in "OUS":
        if dtype not in (None, "string"):
            raise UserError(f"{name}: {_type_problem(_first(array), dtype)}")
        return _encoded(value, name, encoding_errors)
    if dtype is not None:
        return _cast(array, name, dtype)
    if not isinstance(value, np.ndarray | np.generic):
        if array.dtype.kind == "f":
            array = _cast(array, name, "float32")
        elif array.dtype.kind == "i" and np.array_equal(array, array.astype(np.int32)):
            array = array.astype(np.int32)
    return array


def string_array(strings: Iterable[str | bytes]) -> np.ndarray:
    """Returns strings as an object array [B] of UTF-8 bytes."""
    return _objects([text.encode() if isinstance(text, str) else text for text in strings])


def decode_text(text: str | bytes) -> str:
    """Decodes UTF-8; invalid bytes become U+FFFD."""
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def to_text(array: np.ndarray) -> np.ndarray:
    """Decodes an object array of bytes to Python strings, as `decode_text`."""
    return _objects(list(map(decode_text, array.reshape(-1)))).reshape(array.shape)


def _as_array(value: Any, name: str, dtype: type | None = None) -> np.ndarray:
    try:
        return np.asarray(value, dtype)
    except UnicodeDecodeError:  # bytes among strings
        return np.array(value, np.object_)
    except ValueError as error:
        raise UserError(f"{name}: expected rows of equal length, got others: {error}") from error


def _first(array: np.ndarray) -> Any:
    """The first element, for an error."""
    return array.reshape(-1)[0:1].tolist()[0] if array.size else []


def _type_problem(item: Any, dtype: str | None) -> str:
    """What is expected in place of an element that NumPy has no type of numbers for."""
    if not isinstance(item, int):
        return f"expected {dtype}, got {item!r}"
    return f"expected a number that fits {dtype}, got an integer of {item.bit_length()} bits"


def _cast(array: np.ndarray, name: str, dtype: str) -> np.ndarray:
    """Casts if every value survives: 3 is a valid float32, 2.5 and True are no valid int32.

    A number beyond the range of float32 is not valid, an infinity is.
    """
    target = np.dtype(dtype)
    allowed = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}.get(target.kind, target.kind)
    if array.size and array.dtype.kind not in allowed:
        raise UserError(f"{name}: expected {dtype}, got {_first(array)!r}")
    with np.errstate(over="ignore"):
        cast = array.astype(target)
    is_lost = cast != array if target.kind in "iu" else np.isinf(cast) & ~np.isinf(array)
    if np.any(is_lost):
        problem = f"expected a number that fits {dtype}, got {_first(array[is_lost])!r}"
        raise UserError(f"{name}: {problem}")
    return cast


def _encoded(value: Any, name: str, errors: str) -> np.ndarray:
    # From the elements themselves: an array of strings would drop a NUL at the end of one.
    objects = np.array(value, np.object_)
    items = enumerate(objects.reshape(-1))
    return _objects([_bytes(x, f"{name}[{i}]", errors) for i, x in items]).reshape(objects.shape)


def _bytes(item: Any, name: str, errors: str) -> bytes:
    if isinstance(item, bytes):
        return item
    if not isinstance(item, str):
        raise UserError(f"{name}: expected a string, got {item!r}")
    try:
        return item.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        raise UserError(f"{name}: expected valid Unicode, got {item!r}: {error}") from error


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
