"""`.keras` files and SavedModels of every model."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.export import export_translator
from keras_s2s.signatures.fields import SIGNATURES
from keras_s2s.tokenizers import Pointers, train
from keras_s2s.translator import Translator
from tests.conformance import models, parts
from tests.conformance.models import over_models
from tests.search.mixed_requests import (
    INVALID_ROWS,
    INVALID_SAMPLES,
    VALID_ROWS,
    VALID_SAMPLES,
    mix_rows,
    request_inputs,
)

TEXTS = ["a b c", "", "e a a zz", "h", "c b 😀 d e f"]
BROKEN = "\udcff\udcfe a"  # bytes that are no UTF-8, as surrogateescape writes them
READER = Path(__file__).with_name("session_reader.py")


@over_models
def test_keras_file_round_trip(encoder, decoder, head, tmp_path):
    model = models.make(encoder, decoder, head)
    x, ids = models.source(), models.target()
    expected, _ = models.call_model(model, x, ids)
    log_probs, _ = models.run_steps(model, x, tf.expand_dims(ids, 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(models.call_model(loaded, x, ids)[0], expected, atol=1e-6)
    again, _ = models.run_steps(loaded, x, tf.expand_dims(ids, 1))
    np.testing.assert_allclose(again, log_probs, atol=1e-6)
    assert loaded.count_params() == model.count_params()


def make_requests(translator):
    """For each signature the inputs of a request with every option somewhere: strings, numbers."""
    defaults = {name: translator.defaults(SIGNATURES[name]) for name in SIGNATURES}
    rows, texts, messages = mix_rows(VALID_ROWS, INVALID_ROWS[:2], 1)
    drawn, drawn_texts, wrong = mix_rows(VALID_SAMPLES, INVALID_SAMPLES[1:3], 1)
    texts[: len(TEXTS) + 1] = [*TEXTS, BROKEN]
    targets = {
        "text": [*TEXTS, BROKEN, "a b", "c d"],
        "target": ["a b", "g", "zz a c", "", "f " * 4, "a", "\N{GRINNING FACE}", ""],
        "target_tokens": [""] * 6 + ["a", "b\n<unk>\nzz"],
    }
    given = {
        "translate": {
            "text": texts,
            **request_inputs(rows, SIGNATURES["translate"], defaults["translate"]),
        },
        "sample": {
            "text": drawn_texts,
            **request_inputs(drawn, SIGNATURES["sample"], defaults["sample"]),
        },
        "score": targets,
        "attention": targets,
        "serving_default": {"text": texts},
    }
    both = {6: "target: expected none beside target_tokens"}
    errors = {"translate": messages, "sample": wrong, "score": both, "attention": both}
    return given, errors


def encoded(values):
    return [x.encode("utf-8", "surrogateescape") if isinstance(x, str) else x for x in values]


def in_this_process(translator, name, given):
    """A signature's outputs; a missing input has the translator's default.

    The functions are those that the export has traced; tests/translator has eager ones beside them.
    """
    fields, defaults = SIGNATURES[name].inputs, translator.defaults(SIGNATURES[name])
    columns = [
        tf.constant(encoded(given.get(f.name, [defaults.get(f.name)])), f.dtype) for f in fields
    ]
    outputs = translator._trace(translator.signatures[name])(*columns)
    return {key: value.numpy() for key, value in outputs.items()}


def export_cases(cases, directory):
    """Exports each case; returns the outputs of its translator in this process."""
    letters = TokenizerConfig(kind="whitespace", size=None)
    source = train(letters, ["a b c d e f g h i"])
    target = train(letters, ["a b c d e f g"])
    assert (source.size, target.size) == (models.SOURCE_SIZE, models.TARGET_SIZE)
    expected = {}
    for case in cases:
        made = models.make(*case)
        other = Pointers(source) if made.head.is_pointer else target
        translator = Translator(made, source, other, Decoding(max_length=9))
        export_translator(translator, directory / "-".join(case))
        given, errors = make_requests(translator)
        results = {}
        for name, feed in given.items():
            outputs = in_this_process(translator, name, feed)
            results |= {f"{name}/given/{key}": value for key, value in outputs.items()}
            # A pointer network has one token for all words that are not in the source.
            if name in errors and not made.head.is_pointer:
                actual = {i: e.decode() for i, e in enumerate(outputs["error"]) if e}
                assert actual == errors[name]
        defaults = in_this_process(translator, "translate", {"text": given["translate"]["text"]})
        results |= {f"translate/defaults/{key}": value for key, value in defaults.items()}
        expected["-".join(case)] = results
    return expected, given


def run_in_session(directory, names, given, path):
    """Runs the exports in a fresh process with TensorFlow alone."""
    listed = {
        name: {
            key: [list(x) if isinstance(x, bytes) else x for x in encoded(values)]
            for key, values in feed.items()
        }
        for name, feed in given.items()
    }
    request = {
        "directory": str(directory),
        "names": names,
        "calls": listed,
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


def without_ties(name, key, *values):
    """The best hypothesis alone where rounding decides between two orders of tokens."""
    kind, _, output = key.rpartition("/")
    ties = kind == "translate/given" and name.split("-")[1] in parts.OF_PAIRS
    whole = values[1].ndim == 1 or output in ("score", "log_prob", "source_tokens")
    return [value[:, :1] for value in values] if ties and not whole else values


def check_exports(cases, tmp_path):
    expected, given = export_cases(cases, tmp_path)
    results = run_in_session(tmp_path, list(expected), given, tmp_path / "found.npz")
    for name, outputs in expected.items():
        for key, value in outputs.items():
            actual, value = without_ties(name, key, results[f"{name}/{key}"], value)
            if value.dtype.kind == "f":
                np.testing.assert_allclose(actual, value, atol=1e-4, err_msg=f"{name} {key}")
            else:
                np.testing.assert_array_equal(actual, value, err_msg=f"{name} {key}")
        short, whole = (
            results[f"{name}/{x}/text"] for x in ("serving_default/given", "translate/defaults")
        )
        np.testing.assert_array_equal(short, whole[:, 0])
        for signature in SIGNATURES.values():
            for output in signature.outputs:
                if (
                    output.is_optional
                    and f"{name}/{signature.name}/given/{output.name}" not in results
                ):
                    continue
                for kind, rows in (("empty", 0), ("blank", 1)):
                    shape = results[f"{name}/{signature.name}/{kind}/{output.name}"].shape
                    assert (len(shape), shape[0]) == (len(output.shape), rows), output.name
        maps = {key.rpartition("/")[2] for key in outputs if key.startswith("attention/")}
        encoder, decoder, _ = name.split("-")
        assert ("encoder_attention" in maps) == bool(parts.ENCODERS[encoder]().attention_names)
        assert ("decoder_attention" in maps) == (decoder in parts.SELF_MAPS)


def test_a_model_without_attention_has_no_maps_and_replaces_nothing():
    letters = TokenizerConfig(kind="whitespace", size=None)
    source = train(letters, ["a b c d e f g h i"])
    target = train(letters, ["a b c d e f g"])
    model = models.make("gru", "plain", "softmax")
    bias = model.head.projection.bias
    bias.assign(50.0 * np.eye(models.TARGET_SIZE, dtype="float32")[1])  # unknown words alone
    translator = Translator(model, source, target, Decoding(max_length=3))
    given = {"text": ["a b c", "h"], "target": ["a b", "c"]}
    outputs = in_this_process(translator, "attention", given)
    assert outputs["attention"].shape == (2, 0, 3, 4)
    assert outputs["names"].shape == (2, 0)
    request_inputs = {"text": ["a b c", "h"], "replace_unknown": [True, True]}
    outputs = in_this_process(translator, "translate", request_inputs)
    assert not outputs["alignment"].any()
    assert set(outputs["tokens"][:, 0].ravel()) == {b"<unk>"}


@pytest.mark.slow
@pytest.mark.parametrize("encoder", list(parts.ENCODERS))
def test_every_export_in_a_session(encoder, tmp_path):
    check_exports([case for case in parts.PAIRWISE + parts.MORE if case[0] == encoder], tmp_path)
