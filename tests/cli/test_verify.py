"""`export` with a variant, `verify` and `inspect`: what is one, and what only looks like it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from keras_s2s.cli import main
from keras_s2s.serving import Server
from tests.cli.test_translate import make_runs

ONE_THREAD = Path(__file__).parents[1] / "export" / "one_thread.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def base(runs):
    """An export of the run `one` with int8 weights, whose requests share batches."""
    words = ("export", runs / "one", runs / "small", "--weights", "int8", "--batching")
    assert main(list(map(str, words))) == 0
    return runs / "small"


def ended(capsys, status, *words):
    """What a command that ends with `status` writes: to the standard output, and as errors."""
    assert main(list(map(str, words))) == status
    return capsys.readouterr()


@pytest.mark.slow
def test_an_export_and_what_is_served_are_one(base, capsys, tmp_path):
    (tmp_path / "texts").write_text("ab\nba ba\n")
    with Server("small", base, port=0) as server:
        served = f"grpc://localhost:{server.port}/small"
        words = ("verify", base, served, "--input", tmp_path / "texts")
        said = ended(capsys, 0, *words).out
        assert said.endswith(f" = {served}: 11 requests, all answers equal\n")


@pytest.mark.slow
def test_what_differs_stands_side_by_side(runs, base, capsys):
    out, err = ended(capsys, 1, "verify", runs / "one", base)
    assert out == ""
    head, *values = err.splitlines()[-3:]
    assert head.startswith("keras-s2s: error: signature serving_default, row ")
    names = str(runs / "one"), str(base)
    assert [line.split()[0] for line in values] == list(names)
    assert len({line.index(line.split()[1]) for line in values}) == 1


@pytest.mark.slow
def test_runs_of_one_vocabulary_and_other_weights(runs, capsys):
    assert "signature " in ended(capsys, 1, "verify", runs / "one", runs / "two").err


@pytest.mark.parametrize(
    "names, problem",
    [
        (["one"], "expected two or more different models, got"),
        (["one", "one"], "expected two or more different models, got"),
        (["one", "none"], "none: expected a run"),
        (["one", "grpc://nowhere"], "expected grpc://HOST:PORT/NAME"),
    ],
)
def test_models_that_are_none(runs, names, problem, capsys):
    words = [name if ":" in name else runs / name for name in names]
    assert problem in ended(capsys, 2, "verify", *words).err


@pytest.mark.slow
def test_inspect_shows_what_is_there(runs, base, capsys):
    text = ended(capsys, 0, "inspect", base).out
    assert text.startswith(f"{base / '1'}: SavedModel, ")
    assert "\nsignature serving_default\n" in text and "beam_size" in text
    found = json.loads(ended(capsys, 0, "inspect", base / "1", "--json").out)
    assert found["files"]["saved_model.pb"] == (base / "1" / "saved_model.pb").stat().st_size
    assert found["signatures"]["serving_default"]["inputs"] == {
        "text": {"dtype": "string", "shape": [None]}
    }
    assert found["signatures"]["translate"]["inputs"]["beam_size"]["default"] == 3
    assert found["card"]["variant"]["weights"] == "int8"
    assert found["card"]["variant"]["drift"] < found["card"]["variant"]["limit"]
    assert found["operations"]["common"]["Const"] > 100


def test_inspect_of_a_run(runs, capsys):
    found = json.loads(ended(capsys, 0, "inspect", runs / "one", "--json").out)
    assert found["kind"] == "run" and "config.yml" in found["files"]
    assert found["card"]["vocabularies"]["source"] == {"kind": "characters", "size": 6}
    assert "none: expected" in ended(capsys, 2, "inspect", runs / "none").err


def test_inspect_of_a_file_that_is_damaged(runs, capsys, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    assert "saved_model.pb: expected a SavedModel" in ended(capsys, 2, "inspect", tmp_path).err


@pytest.mark.slow
def test_weights_are_stored_in_fewer_bytes(base):
    size = (base / "1" / "variables" / "variables.data-00000-of-00001").stat().st_size
    parameters = json.loads((base / "1" / "assets.extra" / "model_card.json").read_text())
    assert size < 1.8 * parameters["sizes"]["parameters"]  # float32 takes 4 and a table's copy


@pytest.mark.slow
def test_a_loader_that_would_not_unpack_them_says_so(base):
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected dtype float does not equal"):
        tf.saved_model.load(str(base / "1"))


@pytest.mark.slow
def test_batches_in_the_graph_do_not_wait_for_each_other_in_one_thread(base):
    command = [sys.executable, str(ONE_THREAD), str(base / "1"), "24"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["24"]
