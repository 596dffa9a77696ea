"""A LiteRT file of fixed shapes, and LiteRT.js that runs it in Node.js and in a browser.

LITERTJS_DIR names the directory `node_modules/@litertjs` of `npm install @litertjs/core`.
"""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export.litert.default_search import ServingGraph
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from tests.export.tiny_models import make_translator
from tests.tensorboard.page.browser import chromium, until
from tools.examples import fixed_file

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "tools" / "examples"
COLUMNS, MOST, END = 12, 20, 3
TEXTS = ["a b c", "", "b a d c f e h g i zz a"]


@pytest.fixture(scope="module")
def translator():
    translator = make_translator(Decoding(beam_size=4, max_length=MOST))
    bias = translator.model.trainable_variables[-1]
    bias.assign_sub(np.eye(bias.shape[0], dtype=np.float32)[END] * 2)  # long targets
    return translator


@pytest.fixture(scope="module")
def path(translator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixed")
    translator.save(folder / "run")
    fixed_file.main(folder / "run", folder / "model.tflite", str(COLUMNS))
    return folder / "model.tflite"


@pytest.fixture(scope="module")
def site(path):
    """A directory with the examples, the file, and LiteRT.js as npm puts it."""
    given = os.environ.get("LITERTJS_DIR")
    if not given:
        pytest.skip("LITERTJS_DIR names no LiteRT.js: npm install @litertjs/core")
    if not (path.parent / "node_modules").exists():
        (path.parent / "node_modules").mkdir()
        (path.parent / "node_modules" / "@litertjs").symlink_to(Path(given).resolve())
        shutil.copy(EXAMPLES / "translate.html", path.parent)
    return path.parent


def ids_of(translator, text):
    names = translator.source_tokenizer.vocabulary
    return [*(names.index(token if token in names else "<unk>") for token in text.split()), END]


@pytest.fixture(scope="module")
def same(translator):
    """Compares an answer with the model's search, run eagerly: tracing it takes seconds."""
    search = ServingGraph(LiteRTSignatures(translator.model, translator.caps), translator)

    def compare(text, ids, score):
        expected = search.translate(tf.constant([ids_of(translator, text)]))
        length = int(expected["lengths"][0])
        assert [int(number) for number in ids] == expected["found"][0, :length].numpy().tolist()
        assert float(score) == pytest.approx(float(expected["score"][0]), abs=1e-4)
        assert length > 1

    return compare


def test_the_file_finds_what_the_run_finds(translator, path, same):
    run = Interpreter(model_path=str(path)).get_signature_runner("translate_fixed")
    for text in TEXTS:
        given = np.zeros([1, COLUMNS], np.int32)
        ids = ids_of(translator, text)
        given[0, : len(ids)] = ids
        found = run(ids=given)
        assert found["found"].shape == (1, MOST)
        same(text, found["found"][0, : found["lengths"][0]], found["score"][0])


def test_wrong_arguments_are_named(translator, tmp_path):
    with pytest.raises(UserError, match="COLUMNS: expected a positive integer, came 0"):
        fixed_file.main("run", tmp_path / "file", "0")
    wishes = make_translator(Decoding(beam_size=3, no_repeat_ngram=2))
    with pytest.raises(UserError, match="RUN: expected ids alone and options of a plain search"):
        fixed_file.fixed(wishes, COLUMNS)


def node(site, *words):
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node")
    command = [program, EXAMPLES / "translate.mjs", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=site)


@pytest.mark.parametrize("text", TEXTS)
def test_node_finds_what_python_finds(translator, site, same, text):
    done = node(site, "model.tflite", *ids_of(translator, text))
    assert done.returncode == 0, done.stderr
    found, score = done.stdout.splitlines()
    same(text, found.split(), score)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.tflite"], "arguments: expected FILE ID ..., came too few"),
        (["model.tflite", "4", "b"], "ID: expected a number, came b"),
        (["nowhere.tflite", "3"], "nowhere.tflite: expected a file, came ENOENT"),
        (["model.tflite", *[4] * COLUMNS, 3], "IDs: expected 12 at most, came 13"),
        ([EXAMPLES / "translate.mjs", "3"], "translate.mjs: Failed to load model"),
    ],
    ids=str,
)
def test_node_says_what_is_wrong(site, words, message):
    done = node(site, *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == ""


@pytest.fixture(scope="module")
def address(site):
    """The address of the directory behind a small server."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/translate.html"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def test_a_page_finds_what_python_finds(translator, address, same, tmp_path):
    with chromium(tmp_path) as driver:

        def shown():
            """What the page says, once it says something; read at one moment."""
            names = ["ids", "score", "problem"]
            script = "return arguments[0].map(name => document.getElementById(name).textContent)"
            texts = driver.execute_script(script, names)
            return texts if any(texts) else None

        for text in TEXTS[:2]:
            ids = ",".join(map(str, ids_of(translator, text)))
            driver.get(f"{address}?file=model.tflite&ids={ids}")
            found, score, problem = until(shown, 60)
            assert problem == ""
            same(text, found.split(), score)
        for query, message in (
            ("file=model.tflite&ids=", "ids: expected numbers, came ''"),
            ("file=nowhere.tflite&ids=3", "nowhere.tflite: expected a file, came the status 404"),
        ):
            driver.get(f"{address}?{query}")
            assert until(shown, 60) == ["", "", message]
