"""Readers of weight files: safetensors, and PyTorch files through `pytorch_files`."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.importers.pytorch_files import read_pytorch

__all__ = ["Weights", "read_safetensors", "read_weights"]

SAFETENSORS, PYTORCH = "model.safetensors", "pytorch_model.bin"
# Type names in a safetensors header; numbers are little-endian.
TYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(tf.bfloat16.as_numpy_dtype),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


class Weights:
    """The arrays of a file; records which have been taken.

    Args:
        path: the file, for error messages.
        arrays: the arrays by name.
    """

    def __init__(self, path: Path | str, arrays: dict):
        self.path, self.arrays, self._taken = path, arrays, set()

    def __contains__(self, name):
        return name in self.arrays

    def take(self, name: str, *shape: int) -> np.ndarray:
        """The array `name` as float32.

        Raises:
            UserError: the array is missing, has another shape, or holds infinities or NaN.
        """
        if name not in self.arrays:
            raise UserError(f"{self.path}: {name}: expected {list(shape)}, got no such weight")
        array = self.arrays[name]
        if array.shape != shape:
            expected = f"expected the shape {list(shape)}"
            raise UserError(f"{self.path}: {name}: {expected}, got {list(array.shape)}")
        self._taken.add(name)
        array = np.asarray(array, "float32")
        if not np.isfinite(array).all():
            raise UserError(f"{self.path}: {name}: expected finite numbers, got others")
        return array

    def ignore(self, *names: str) -> None:
        """Exempts weights from `check_all_taken`."""
        self._taken.update(names)

    def check_all_taken(self) -> None:
        """Checks that every weight has been taken or ignored.

        Raises:
            UserError: naming the first remaining weight.
        """
        remaining = sorted(self.arrays.keys() - self._taken)
        if remaining:
            expected = "expected the weights that config.json describes"
            raise UserError(f"{self.path}: {expected}, got {remaining[0]} too")


def read_weights(directory: Path | str) -> Weights:
    """Reads `model.safetensors` of a directory, or else `pytorch_model.bin`.

    Raises:
        UserError: both files are missing, or the file is damaged.
    """
    directory = Path(directory)
    if (directory / SAFETENSORS).is_file():
        path = directory / SAFETENSORS
        return Weights(path, read_safetensors(path))
    if (directory / PYTORCH).is_file():
        path = directory / PYTORCH
        return Weights(path, read_pytorch(path))
    raise UserError(f"{directory}: expected {SAFETENSORS} or {PYTORCH}, got neither")


def read_safetensors(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by name, memory-mapped.

    The format: eight bytes with the length of the header, the header in JSON, the numbers.

    Raises:
        UserError: the file is damaged, or an array is outside the file or of an unknown type.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        data = np.memmap(path, "uint8", "r")[8 + length :]
        header.pop("__metadata__", None)
        return {name: _array(name, entry, data) for name, entry in header.items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, struct.error, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: expected a safetensors file, got: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: expected a header of safetensors, got: {error}") from None


def _array(name, entry, data):
    dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in TYPES:
        raise UserError(f"{name}: expected one of the types {', '.join(TYPES)}, got {dtype}")
    size = TYPES[dtype].itemsize * math.prod(shape)
    if last - first != size or not 0 <= first <= last <= len(data):
        there = f"got {last - first} at {first} of {len(data)}"
        raise UserError(f"{name}: expected {size} bytes within the file, {there}")
    return data[first:last].view(TYPES[dtype]).reshape(shape)
