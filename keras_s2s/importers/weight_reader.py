"""Readers of weight files: safetensors, and PyTorch files through `pytorch_files`."""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.importers.pytorch_files import read_pytorch

__all__ = ["Weights", "read_safetensors", "read_weights"]

SAFETENSORS, PYTORCH = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"  # after the name of a file: the index of its shards
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
    """Reads the weights of a directory, from one file or from shards.

    The files are `model.safetensors`, `model.safetensors.index.json` with its shards,
    `pytorch_model.bin`, or `pytorch_model.bin.index.json` with its shards: the first that exists.

    Raises:
        UserError: no file exists, a file is damaged, or the shards do not hold what the index
            says.
    """
    directory = Path(directory)
    for name, read in ((SAFETENSORS, read_safetensors), (PYTORCH, read_pytorch)):
        path, index = directory / name, directory / f"{name}{INDEX}"
        if path.is_file():
            return Weights(path, read(path))
        if index.is_file():
            return Weights(index, _read_shards(index, read))
    raise UserError(
        f"{directory}: expected {SAFETENSORS} or {PYTORCH}, got neither, nor an index of shards"
    )


def _read_shards(
    index: Path, read: Callable[[Path], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Reads the arrays of all shards, the files that an index names."""
    files = _read_index(index)
    arrays: dict[str, np.ndarray] = {}
    for file in sorted(set(files.values())):
        path = index.parent / file
        if not path.is_file():
            raise UserError(f"{index}: expected the shard {file} beside it, got no such file")
        shard = read(path)
        for name in sorted(arrays.keys() & shard.keys()):
            raise UserError(f"{path}: {name}: expected it in one shard, got it in two")
        arrays |= shard
        for name in sorted(name for name in files if files[name] == file and name not in shard):
            raise UserError(f"{path}: {name}: expected it, as {index.name} says, got none")
    return arrays


def _read_index(index: Path) -> dict[str, str]:
    """Returns the name of the file of each array."""
    try:
        files = json.loads(index.read_text("utf-8"))["weight_map"]
        names = set(files.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: expected an index of shards, got: {error!r}") from None
    for name in names or {None}:
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(f"{index}: expected names of files beside it, got {name!r}")
    return files


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
