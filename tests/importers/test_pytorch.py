"""PyTorch weight files, written here in PyTorch's formats without PyTorch."""

import io
import pickle
import re
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from keras_s2s.errors import UserError
from keras_s2s.importers.marian import import_marian
from keras_s2s.importers.pytorch_files import MAGIC, TYPES, read_pytorch
from keras_s2s.translator import Translator
from tests.importers import marian_checkpoints as twin

KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


@pytest.fixture
def torch(monkeypatch):
    """Modules with the names that the pickles hold."""
    made, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in TYPES:
        setattr(made, name, type(name, (), {"__module__": "torch"}))

    def rebuild():
        pass

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    made._utils, utils._rebuild_tensor_v2 = utils, rebuild
    monkeypatch.setitem(sys.modules, "torch", made)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return made


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class Tensor:
    """Pickled by a call of PyTorch's function; `view` is offset, shape and strides."""

    def __init__(self, torch, storage, view):
        self.torch, self.storage, self.view = torch, storage, view

    def __reduce__(self):
        arguments = self.storage, *self.view, False, OrderedDict()
        return self.torch._utils._rebuild_tensor_v2, arguments


class Pickler(pickle.Pickler):
    def __init__(self, file, torch, legacy):
        super().__init__(file, 2)
        self.torch, self.more = torch, [None] if legacy else []

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        kind = getattr(self.torch, KINDS[str(thing.array.dtype)])
        return ("storage", kind, thing.key, "cpu", thing.array.size, *self.more)


def content_of(torch, arrays, legacy, views):
    storages = {
        name: Storage(str(n), np.ravel(array)) for n, (name, array) in enumerate(arrays.items())
    }
    found = OrderedDict()
    for name, array in arrays.items():
        strides = tuple(step // array.itemsize for step in array.strides)
        view = views.get(name, (0, array.shape, strides))
        found[name] = Tensor(torch, storages[name], view)
    file = io.BytesIO()
    Pickler(file, torch, legacy).dump(found)
    return file.getvalue(), {one.key: one.array for one in storages.values()}


def write(torch, path, arrays, legacy=False, little=True, **views):
    content, storages = content_of(torch, arrays, legacy, views)
    if not legacy:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl", content)
            archive.writestr("model/byteorder", "little" if little else "big")
            for key, array in storages.items():
                archive.writestr(f"model/data/{key}", array.tobytes())
        return
    head = [MAGIC, 1001, {"little_endian": little}]
    parts = [*(pickle.dumps(one, 2) for one in head), content, pickle.dumps([*storages], 2)]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in storages.values()]
    path.write_bytes(b"".join(parts))


ARRAYS = {
    "matrix": np.arange(12, dtype="float32").reshape(3, 4),
    "half": np.array([0.5, -2.0], "float16"),
    "whole": np.array(7, "int64"),
    "nothing": np.zeros([0, 3], "float32"),
}
BOTH = pytest.mark.parametrize("legacy", [False, True])


@BOTH
def test_arrays_of_several_types(torch, tmp_path, legacy):
    write(torch, tmp_path / "w.bin", ARRAYS, legacy)
    found = read_pytorch(tmp_path / "w.bin")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_strided_views(torch, tmp_path):
    write(torch, tmp_path / "w.bin", ARRAYS, matrix=(1, (3, 2), (1, 4)))
    found = read_pytorch(tmp_path / "w.bin")["matrix"]
    np.testing.assert_array_equal(found, ARRAYS["matrix"].T[1:, :2])


@BOTH
def test_import_of_pytorch_file(torch, tmp_path, legacy):
    directory = tmp_path / "marian"
    _, arrays = twin.write(directory)
    (directory / "model.safetensors").unlink()
    write(torch, directory / "pytorch_model.bin", arrays, legacy)
    model = Translator.load(import_marian(directory, tmp_path / "run")).model
    np.testing.assert_array_equal(model.source.table[3], arrays["model.shared.weight"][0])


@BOTH
def test_big_endian_numbers_are_refused(torch, tmp_path, legacy):
    write(torch, tmp_path / "w.bin", ARRAYS, legacy, little=False)
    with pytest.raises(UserError, match="w.bin: expected little-endian numbers, got "):
        read_pytorch(tmp_path / "w.bin")


def test_other_globals_are_refused(tmp_path):
    path = tmp_path / "w.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"a": re.compile("x")}))
    with pytest.raises(UserError, match=r"w.bin: expected weights alone, got re\._compile"):
        read_pytorch(path)


@pytest.mark.parametrize("view", [(0, (4, 4), (4, 1)), (-1, (2,), (1,)), (3, (2, 2), (-1, 1))])
def test_view_beyond_storage(torch, tmp_path, view):
    write(torch, tmp_path / "w.bin", ARRAYS, matrix=view)
    with pytest.raises(UserError, match="w.bin: matrix: expected at least .* numbers, got 12"):
        read_pytorch(tmp_path / "w.bin")


@BOTH
def test_damaged_files(torch, tmp_path, legacy):
    path = tmp_path / "w.bin"
    write(torch, path, ARRAYS, legacy)
    whole = path.read_bytes()
    for content in (b"", b"weights", pickle.dumps(3), whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="w.bin: "):
            read_pytorch(path)
