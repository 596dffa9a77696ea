"""Reader of PyTorch weight files without PyTorch; pickles with anything but arrays are refused.

PyTorch has two formats. Since 1.6 it writes a zip archive with `data.pkl` and one file per
storage. Earlier files hold five pickles in sequence (a magic number, a version, the machine, the
weights, the keys of the storages), followed by each storage with its length. Both refer to storages
by persistent ids of the pickle.
"""

import collections
import pickle
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError

__all__ = ["read_pytorch"]

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": tf.bfloat16.as_numpy_dtype,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Storage(NamedTuple):
    kind: np.dtype
    key: str


class _Tensor(NamedTuple):
    """The arguments of PyTorch's `_rebuild_tensor_v2`."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple
    requires_grad: bool = False
    hooks: object = None
    metadata: object = None


class _Unpickler(pickle.Unpickler):
    """Loads the types of a dictionary of weights; refuses any other global without calling it."""

    KNOWN = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    }

    def find_class(self, module, name):
        if module == "torch" and name in TYPES:
            return np.dtype(TYPES[name])
        if (module, name) not in self.KNOWN:
            raise UserError(f"expected weights alone, got {module}.{name}")
        return self.KNOWN[module, name]

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        return _Storage(kind, key)


def read_pytorch(path: Path | str) -> dict[str, np.ndarray]:
    """Reads the arrays of a `pytorch_model.bin` by name.

    Raises:
        UserError: the file is damaged or holds more than weights.
    """
    try:
        zipped = zipfile.is_zipfile(path)
        state_dict, storages = _read_zip(path) if zipped else _read_legacy(path)
        tensors = {name: item for name, item in state_dict.items() if isinstance(item, _Tensor)}
        return {name: _array(name, item, storages) for name, item in tensors.items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise any exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: expected weights of PyTorch, got: {reason:.200}") from None


def _read_zip(path):
    """The pickled dictionary, and the bytes of each storage by its key."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [item for item in archive.namelist() if item.endswith("data.pkl")]
        root = name.removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise UserError(f"expected little-endian numbers, got {archive.read(order)!r}")
        with archive.open(name) as file:
            state_dict = _Unpickler(file).load()
        start = f"{root}data/"
        names = [item for item in archive.namelist() if item.startswith(start)]
        return state_dict, {item.removeprefix(start): archive.read(item) for item in names}


def _read_legacy(path):
    with open(path, "rb") as file:
        if _Unpickler(file).load() != MAGIC:
            raise UserError("expected weights of PyTorch, got another pickle")
        _, machine, state_dict = (_Unpickler(file).load() for _ in range(3))
        if not machine["little_endian"]:
            raise UserError("expected little-endian numbers, got big-endian ones")
        keys = _Unpickler(file).load()
        kinds = {
            item.storage.key: item.storage.kind
            for item in state_dict.values()
            if isinstance(item, _Tensor)
        }
        storages = {}
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            storages[key] = file.read(count * kinds[key].itemsize)
        return state_dict, storages


def _array(name, tensor, storages):
    """The array of a tensor, which may be a strided view of its storage."""
    numbers = np.frombuffer(storages[tensor.storage.key], tensor.storage.kind)
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, "float32")
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides))
    if not 0 <= tensor.offset <= last < len(numbers) or min(tensor.strides, default=0) < 0:
        raise UserError(f"{name}: expected at least {last + 1} numbers, got {len(numbers)}")
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
