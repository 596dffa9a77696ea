"""What is saved comes back: `.keras` files and SavedModels, for every model."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import TokenizerConfig
from keras_s2s.export import export_translator
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.conformance.models import over_models

TEXTS = ["a b c", "", "e a a zz", "h", "c b 😀 d e f"]
BROKEN = "\udcff\udcfe a"  # bytes that are no UTF-8, as surrogateescape writes them
READER = Path(__file__).with_name("session_reader.py")


@over_models
def test_keras_file_round_trip(encoder, decoder, head, tmp_path):
    model = models.make(encoder, decoder, head)
    x, ids = models.source(), models.target()
    expected, _ = models.whole(model, x, ids)
    log_probs, _ = models.stepped(model, x, tf.expand_dims(ids, 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(models.whole(loaded, x, ids)[0], expected, atol=1e-6)
    again, _ = models.stepped(loaded, x, tf.expand_dims(ids, 1))
    np.testing.assert_allclose(again, log_probs, atol=1e-6)
    assert loaded.count_params() == model.count_params()


def exported(cases, directory):
    """Exports each case; gives for each what the translator says in this process."""
    letters = TokenizerConfig(kind="whitespace", size=None)
    source = train(letters, ["a b c d e f g h i"])
    target = train(letters, ["a b c d e f g"])
    assert (source.size, target.size) == (models.SOURCE_SIZE, models.TARGET_SIZE)
    expected = {}
    for case in cases:
        translator = Translator(models.make(*case), source, target)
        name = "-".join(case)
        export_translator(translator, directory / name)
        texts = [text.encode("utf-8", "surrogateescape") for text in [*TEXTS, BROKEN]]
        options = [
            [3, 1, 2, 3, 4, 2],
            [2, 1, 1, 3, 2, 2],
            [0.6, 0, 1, 0.6, 0, 2],
            [9, 9, 3, 9, 0, 9],
        ]
        outputs = translator.graph(tf.constant(texts), *(tf.constant(row) for row in options))
        expected[name] = {key: value.numpy() for key, value in outputs.items()}
    return expected, [texts, *options]


def through_a_session(directory, names, inputs, path):
    """Runs the exports in a fresh process that knows TensorFlow alone."""
    texts, *options = inputs
    request = {
        "directory": str(directory),
        "names": names,
        "texts": [list(text) for text in texts],
        "options": options,
        "result": str(path),
    }
    done = subprocess.run(
        [sys.executable, "-I", str(READER)],
        input=json.dumps(request),
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(path, allow_pickle=True) as stored:
        return dict(stored)


def check_exports(cases, tmp_path):
    expected, inputs = exported(cases, tmp_path)
    found = through_a_session(tmp_path, list(expected), inputs, tmp_path / "found.npz")
    for name, outputs in expected.items():
        for key, value in outputs.items():
            came = found[f"{name}/{key}"]
            if value.dtype.kind == "f":
                np.testing.assert_allclose(came, value, atol=1e-4, err_msg=f"{name} {key}")
            else:
                np.testing.assert_array_equal(came, value, err_msg=f"{name} {key}")
        assert not expected[name]["error"].any()
        assert found[f"{name}/empty"].shape == (0,)
        assert found[f"{name}/blank"].shape == (1,)


FAST = [("bigru", "gru", "softmax"), ("bilstm", "lstms", "pointer"), ("pre", "pre", "tied")]


def test_exports_answer_through_a_session(tmp_path):
    check_exports(FAST, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", list(models.ENCODERS))
def test_every_export_answers_through_a_session(encoder, tmp_path):
    check_exports([case for case in models.ALL if case[0] == encoder], tmp_path)
