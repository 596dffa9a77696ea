"""The examples of other languages run, and find what the file's own interpreter finds."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_s2s.config import Decoding
from keras_s2s.export.litert import export_litert_translator
from keras_s2s.tokenizers import Bytes
from keras_s2s.translator import Translator
from tests.conformance import models

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [[3], [100, 101, 3], [*range(60, 75), 3]]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "SOURCE_SIZE", Bytes().size)
        patch.setattr(models, "TARGET_SIZE", Bytes().size)
        model = models.make("gru", "gru", "softmax")
    translator = Translator(model, Bytes(), Bytes(), Decoding(beam_size=3, max_length=12))
    return export_litert_translator(translator, tmp_path_factory.mktemp("edge")) / "model.tflite"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C example, built as its head says."""
    library = Path(find_spec("ai_edge_litert").submodule_search_locations[0])
    if not shutil.which("cc") or not (library / "libLiteRt.so").exists():
        pytest.skip("no C compiler, or no libLiteRt.so in ai-edge-litert")
    made = tmp_path_factory.mktemp("c") / "translate"
    command = ["cc", "-Wall", "-Wextra", "-Werror", ROOT / "tools/examples/translate.c", "-o", made]
    subprocess.run(
        [*command, "-L", library, f"-Wl,-rpath,{library}", "-l:libLiteRt.so"], check=True
    )
    return made


def run(program, *words):
    return subprocess.run(
        [program, *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(("beam", "most"), [(1, 1), (1, 12), (3, 9)])
def test_the_c_example_finds_what_the_interpreter_finds(program, path, beam, most):
    signature = Interpreter(model_path=str(path)).get_signature_runner("translate_ids")
    whole = {"beam_size": beam, "num_hypotheses": 1, "min_length": 0, "max_length": most}
    given = {name: np.array([value], np.int32) for name, value in whole.items()}
    given |= {"length_penalty": np.float32([0.6]), "length_offset": np.float32([5.0])}
    for ids in SOURCES:
        row = {"ids": np.array([ids], np.int32), "lengths": np.array([len(ids)], np.int32)}
        expected = signature(**row, **given)
        done = run(program, path, beam, most, *ids)
        assert done.returncode == 0, done.stderr
        score, *found = done.stdout.split()
        assert found == [str(x) for x in expected["ids"][0, 0, : expected["lengths"][0, 0]]]
        assert float(score) == pytest.approx(expected["score"][0, 0], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((1, 5), "usage: translate MODEL BEAM_SIZE MAX_LENGTH ID"),
        ((1, 0, 3), "MAX_LENGTH: expected 1 to 10000, came 0"),
    ],
)
def test_the_c_example_says_what_is_wrong(program, path, words, message):
    done = run(program, path, *words)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    done = run(program, path.with_name("none.tflite"), 1, 5, 3)
    assert done.returncode == 1
    assert "LiteRT refused" in done.stderr
