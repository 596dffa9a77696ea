"""The C program that translates by a LiteRT file: built, run, compared with `EdgeTranslator`."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.config import Decoding
from keras_s2s.export.litert import converter, exporter
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.serving import EdgeTranslator
from tests.export.tiny_models import make_translator

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "tools" / "examples" / "translate.c"
END = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A `Translator` whose targets are long, and a LiteRT file that holds its search alone."""
    translator = make_translator(Decoding(beam_size=4, max_length=100))
    bias = translator.model.trainable_variables[-1]
    bias.assign_sub(np.eye(bias.shape[0], dtype=np.float32)[END] * 2)
    graphs = LiteRTSignatures(translator.model, translator.caps).concrete(["translate_ids"])
    content = converter.convert(graphs, translator.variables())
    path = tmp_path_factory.mktemp("edge") / "model.tflite"
    path.write_bytes(
        converter.add_metadata(content, exporter.build_metadata(translator, graphs, {}))
    )
    return translator, path


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program, built as docs/edge.md says."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    (folder,) = importlib.util.find_spec("ai_edge_litert").submodule_search_locations
    if not (Path(folder) / "libLiteRt.so").exists():
        pytest.skip("no libLiteRt.so in ai-edge-litert")
    path = tmp_path_factory.mktemp("program") / "translate"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", PROGRAM, "-o", path]
    command += [f"-L{folder}", "-lLiteRt", f"-Wl,-rpath,{folder}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def run(program, *words):
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("text", ["a b c", "i", "", "b a d c f e h g i zz a"])
def test_a_c_program_finds_what_python_finds(made, program, text):
    translator, path = made
    ((expected,),) = EdgeTranslator(path).decode([text])
    names = translator.source_tokenizer.vocabulary
    ids = [names.index(token if token in names else "<unk>") for token in text.split()]
    done = run(program, path, *ids, END)
    assert done.returncode == 0, done.stderr
    found, score = done.stdout.splitlines()
    names = translator.target_tokenizer.vocabulary
    assert [names[int(one)] for one in found.split()] == expected.tokens
    assert float(score) == pytest.approx(expected.score, abs=1e-4)
    assert len(expected.tokens) > 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "arguments: expected FILE ID ..., came none"),
        (["FILE"], "arguments: expected FILE ID ..., came no id"),
        (["FILE", "4", "b"], "ID: expected a number, came b"),
        (["FILE", "4", "-1"], "ID: expected a number, came -1"),
        (["nowhere/model.tflite", "3"], "nowhere/model.tflite: expected the status 0 of LiteRT"),
        ([os.devnull, "3"], f"{os.devnull}: expected the status 0 of LiteRT, came"),
        ([PROGRAM, "3"], f"{PROGRAM}: expected the status 0 of LiteRT, came"),
    ],
    ids=str,
)
def test_what_is_wrong_ends_it_with_a_message(made, program, words, message):
    done = run(program, *(made[1] if word == "FILE" else word for word in words))
    assert done.returncode == 1  # and not by a signal
    assert message in done.stderr.splitlines()[-1]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"translate_ids", b"translate_idz", "signatures: expected translate_ids, came others"),
        (b"min_length", b"copy_these", "expected ids, lengths and options, came copy_these"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_refused(made, program, tmp_path, old, new, message):
    other = tmp_path / "model.tflite"
    other.write_bytes(made[1].read_bytes().replace(old, new))
    done = run(program, other, 4, END)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(message)
