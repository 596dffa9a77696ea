"""SavedModels in a Session: runs, and errors of damaged exports."""

import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.serving.server.session import LoadedModel
from keras_s2s.serving.server.status import StatusError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def version(base_path, tmp_path):
    return Path(shutil.copytree(base_path / "1", tmp_path / "1"))


def test_run_skips_pythons_checks(base_path):
    model = LoadedModel(base_path / "1")
    signature = model.signatures["slow"]
    feed, fetch = signature.inputs["steps"].name, signature.outputs["steps"].name
    (steps,) = model.run({feed: np.array([3, 1], np.int32)}, [fetch])
    assert steps.tolist() == [3, 3]
    with pytest.raises(StatusError, match=r"^Expects arg\[0\] to be int32 but int64") as caught:
        model.run({feed: np.array([3])}, [fetch])
    assert caught.value.code == 3
    with pytest.raises(StatusError, match="^Timed out waiting for notification") as caught:
        model.run({feed: np.array([2**30], np.int32)}, [fetch], timeout=0.2)
    assert caught.value.code == 4
    with pytest.raises(StatusError, match="^Timed out waiting for notification"):
        model.run({feed: np.array([2**22], np.int32)}, [fetch], timeout=0.0004)
    with pytest.raises(StatusError, match="nothing:0"):
        model.run({}, ["nothing:0"])
    left = weakref.ref(model._graph)
    model.close()
    assert left() is None  # each swap of versions would keep a graph


@pytest.mark.parametrize("name", ["model[1]", "back\\slash"])
def test_path_with_wildcards_loads(base_path, tmp_path, name):
    directory = Path(shutil.copytree(base_path / "1", tmp_path / name / "1"))
    model = LoadedModel(directory)
    signature = model.signatures["serving_default"]
    feed, fetch = signature.inputs["text"].name, signature.outputs["text"].name
    assert model.run({feed: np.array([b"version"], object)}, [fetch])[0].tolist() == [b"1"]
    model.close()


def remove(path):
    def damage(version):
        target = version / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def truncate(path, size):
    def damage(version):
        target = version / path
        target.write_bytes(target.read_bytes()[:size])

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("saved_model.pb"), "does not appear to contain a SavedModel bundle"),
        (truncate("saved_model.pb", 1000), "Cannot parse file"),
        (truncate("saved_model.pb", 0), "MetaGraphDef"),
        (remove("variables"), "not a valid checkpoint: .*variables/variables"),
        (remove("variables/variables.data-00000-of-00001"), "No such file or directory"),
        (truncate("variables/variables.index", 20), "sstable"),
    ],
    ids=range(6),
)
def test_damaged_export_does_not_load(version, damage, message):
    damage(version)
    with pytest.raises(StatusError, match=message):
        LoadedModel(version)


def test_variables_of_two_versions_do_not_mix(base_path, tmp_path):
    from tests.serving.models import export

    first, second = LoadedModel(base_path / "1"), LoadedModel(export(tmp_path, 2))
    for model, name in ((first, b"1"), (second, b"2")):
        signature = model.signatures["serving_default"]
        feed = {signature.inputs["text"].name: np.array([b"version"], object)}
        (text,) = model.run(feed, [signature.outputs["text"].name])
        assert text.tolist() == [name]
    first.close()
    second.close()


@pytest.mark.slow
def test_compiled_functions_fail_as_on_the_stock_server(tmp_path):
    code = """
import sys, numpy as np, tensorflow as tf
from pathlib import Path
from keras_s2s.serving.server.session import LoadedModel, disable_xla

class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def run(self, x):
        return {"y": tf.function(lambda x: x + 1.0, jit_compile=True)(x)}

path = Path(sys.argv[1])
module = Model()
tf.saved_model.save(module, str(path), signatures=module.run)
disable_xla()
model = LoadedModel(path)
signature = model.signatures["serving_default"]
try:
    model.run({signature.inputs["x"].name: np.ones(1, np.float32)}, [signature.outputs["y"].name])
except Exception as error:
    print(type(error).__name__, error.code, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert "StatusError 13 XLA compilation disabled" in done.stdout, done.stderr
