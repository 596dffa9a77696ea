"""Weight files of a directory: one file, or shards with an index."""

import json

import numpy as np
import pytest

from keras_s2s.errors import UserError
from keras_s2s.importers import weight_reader
from keras_s2s.importers.weight_reader import read_weights
from tests.importers.marian_checkpoints import write_safetensors

ARRAYS = {f"layers.{i}.weight": np.full([2, 3], i, "float32") for i in range(4)}
NAMES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def write_index(directory, files, name="model.safetensors"):
    index = {"metadata": {"total_size": 96}, "weight_map": files}
    (directory / f"{name}.index.json").write_text(json.dumps(index))


@pytest.fixture
def shards(tmp_path):
    """A directory with two shards and their index."""
    parts = [dict(list(ARRAYS.items())[:3]), dict(list(ARRAYS.items())[3:])]
    for name, part in zip(NAMES, parts, strict=True):
        write_safetensors(tmp_path / name, part)
    write_index(
        tmp_path, {key: name for name, part in zip(NAMES, parts, strict=True) for key in part}
    )
    return tmp_path


def assert_arrays(weights):
    assert weights.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(weights.take(name, 2, 3), array)
    weights.check_all_taken()


def test_shards_of_safetensors(shards):
    assert_arrays(read_weights(shards))


def test_shards_of_pytorch(tmp_path, monkeypatch):
    for number, name in enumerate(ARRAYS):
        with open(tmp_path / f"part-{number}.bin", "wb") as file:
            np.savez(file, **{name: ARRAYS[name]})
    files = {name: f"part-{number}.bin" for number, name in enumerate(ARRAYS)}
    write_index(tmp_path, files, "pytorch_model.bin")
    monkeypatch.setattr(weight_reader, "read_pytorch", lambda path: dict(np.load(path)))
    assert_arrays(read_weights(tmp_path))


def test_one_file_goes_before_shards(shards):
    write_safetensors(shards / "model.safetensors", {"whole": np.zeros([1], "float32")})
    assert read_weights(shards).arrays.keys() == {"whole"}


def test_missing_shard_is_named(shards):
    (shards / NAMES[1]).unlink()
    expected = f"model.safetensors.index.json: expected the shard {NAMES[1]} beside it, got no"
    with pytest.raises(UserError, match=expected):
        read_weights(shards)


def test_damaged_shard_is_named(shards):
    (shards / NAMES[1]).write_bytes(b"PK")
    with pytest.raises(UserError, match=f"{NAMES[1]}: expected a safetensors file"):
        read_weights(shards)


def test_shard_without_a_weight_of_the_index(shards):
    write_index(shards, dict.fromkeys(ARRAYS, NAMES[0]))
    expected = f"{NAMES[0]}: layers.3.weight: expected it, as model.safetensors.index.json says"
    with pytest.raises(UserError, match=expected):
        read_weights(shards)


def test_weight_in_two_shards(shards):
    write_safetensors(shards / NAMES[1], ARRAYS)
    with pytest.raises(UserError, match="layers.0.weight: expected it in one shard, got it"):
        read_weights(shards)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "expected an index of shards"),
        ("[]", "expected an index of shards"),
        ('{"weight_map": []}', "expected an index of shards"),
        ('{"weight_map": {}}', "expected names of files beside it, got None"),
        ('{"weight_map": {"a": "../b.safetensors"}}', "names of files beside it, got '../b"),
        ('{"weight_map": {"a": 3}}', "names of files beside it, got 3"),
    ],
)
def test_damaged_index_is_named(tmp_path, content, expected):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UserError, match=f"model.safetensors.index.json: .*{expected}"):
        read_weights(tmp_path)
