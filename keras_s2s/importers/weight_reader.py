"""Weights by name and shape, from safetensors or from PyTorch's files."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.config import UserError
from keras_s2s.importers.pytorch_files import read_pytorch

__all__ = ["Weights", "read_safetensors", "read_weights"]

SAFETENSORS, PYTORCH = "model.safetensors", "pytorch_model.bin"
# The names that a header gives to types; each is stored as little-endian numbers.
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
    """The arrays of a file, each asked for by its name and shape.

    Args:
        path: the file, for messages.
        arrays: by name.
    """

    def __init__(self, path, arrays: dict):
        self.path, self.arrays, self._taken = path, arrays, set()

    def __contains__(self, name):
        return name in self.arrays

    def take(self, name: str, *shape: int):
        """The array `name` as float32.

        Raises:
            UserError: it is not there, of another shape, or not of finite numbers.
        """
        if name not in self.arrays:
            raise UserError(f"{self.path}: {name}: expected {list(shape)}, got no such weight")
        found = self.arrays[name]
        if found.shape != shape:
            expected = f"expected the shape {list(shape)}"
            raise UserError(f"{self.path}: {name}: {expected}, got {list(found.shape)}")
        self._taken.add(name)
        found = np.asarray(found, "float32")
        if not np.isfinite(found).all():
            raise UserError(f"{self.path}: {name}: expected finite numbers, got others")
        return found

    def ignore(self, *names: str) -> None:
        """Weights that are not to be missed by `refuse_others`."""
        self._taken.update(names)

    def refuse_others(self) -> None:
        """Raises what is wrong where a weight was not asked for: the model has a part more."""
        others = sorted(self.arrays.keys() - self._taken)
        if others:
            expected = "expected the weights that config.json describes"
            raise UserError(f"{self.path}: {expected}, got {others[0]} too")


def read_weights(directory) -> Weights:
    """The weights in `model.safetensors` of a directory, else in `pytorch_model.bin`.

    Raises:
        UserError: there is neither, or the file is damaged.
    """
    directory = Path(directory)
    if (directory / SAFETENSORS).is_file():
        path = directory / SAFETENSORS
        return Weights(path, read_safetensors(path))
    if (directory / PYTORCH).is_file():
        path = directory / PYTORCH
        return Weights(path, read_pytorch(path))
    raise UserError(f"{directory}: expected {SAFETENSORS} or {PYTORCH}, got neither")


def read_safetensors(path) -> dict:
    """The arrays of a safetensors file by name, mapped into memory and not yet read.

    The format: eight bytes for the header's length, the header in JSON, the numbers.

    Raises:
        UserError: naming the file, and the array that is not inside it or of no known type.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        data = np.memmap(path, "uint8", "r")[8 + length :]
        header.pop("__metadata__", None)
        return {name: _array(name, about, data) for name, about in header.items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, struct.error, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: expected a safetensors file, got: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: expected a header of safetensors, got: {error}") from None


def _array(name, about, data):
    kind, shape, (first, last) = about["dtype"], about["shape"], about["data_offsets"]
    if kind not in TYPES:
        raise UserError(f"{name}: expected one of the types {', '.join(TYPES)}, got {kind}")
    size = TYPES[kind].itemsize * math.prod(shape)
    if last - first != size or not 0 <= first <= last <= len(data):
        there = f"got {last - first} at {first} of {len(data)}"
        raise UserError(f"{name}: expected {size} bytes within the file, {there}")
    return data[first:last].view(TYPES[kind]).reshape(shape)
