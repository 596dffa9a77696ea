"""Verification of SavedModels: failures and their messages."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.config import Decoding
from keras_s2s.export import VerificationError, export_translator
from keras_s2s.export.saved_model import exporter
from keras_s2s.export.saved_model.verification import verify_export
from keras_s2s.export.saved_model.warmup import WARMUP, warmup_requests, write_requests
from keras_s2s.export.variant import Variant
from keras_s2s.export.verification.model_comparison import (
    load_export_corpus,
    session_runner,
    verify_models,
)
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.export.verification.request_corpus import build_corpus
from keras_s2s.export.verification.request_runner import run_requests
from keras_s2s.translator import Translator
from tests.export.tiny_models import TARGETS, make_translator, tokenizers

PAIRS = [("a b c", "b c"), ("d e f g", "e a")]


@pytest.fixture(scope="module")
def translator():
    return make_translator(Decoding(beam_size=3, max_length=20))


@pytest.fixture(scope="module")
def written(translator, tmp_path_factory):
    """An export that is not verified."""
    path = tmp_path_factory.mktemp("written") / "1"
    path.mkdir()
    write_unverified(translator, path)
    return path


def write_unverified(translator, path):
    exporter._write(translator, path, Variant(), {}, None)
    write_requests(path / WARMUP, warmup_requests(build_corpus(translator, PAIRS)))


def verification_error(translator, path, exchange):
    with pytest.raises(VerificationError) as caught:
        verify_export(translator, path, exchange, build_corpus(translator, PAIRS))
    return str(caught.value)


def test_python_callback_publishes_nothing(translator, tmp_path, monkeypatch):
    graphs = translator.functions()

    def with_callback(text, *columns):
        return graphs["score"](tf.numpy_function(lambda x: x, [text], tf.string), *columns)

    monkeypatch.setattr(translator, "functions", lambda: graphs | {"score": with_callback})
    with pytest.raises(VerificationError, match="operation PyFunc .*: a callback into Python"):
        export_translator(translator, tmp_path)
    assert os.listdir(tmp_path) == []


def test_one_bit_of_a_weight(translator, written, tmp_path):
    weight = translator.model.weights[0]
    before = weight.numpy()
    changed = before.copy()
    changed[2, 1] = np.nextafter(changed[2, 1], np.float32(np.inf))
    weight.assign(changed)
    try:
        message = verification_error(translator, written, tmp_path)
    finally:
        weight.assign(before)
    name, ours, theirs = message.splitlines()
    assert name.startswith("weight ") and name.endswith("[2, 1]")
    assert ours.split() == ["this", "process", f"{changed[2, 1]:.9g}"]
    assert theirs.split() == ["the", "export", f"{before[2, 1]:.9g}"]


@pytest.mark.slow
def test_weight_that_changes_translations(translator, written, tmp_path):
    weight = translator.model.weights[0]
    before = weight.numpy()
    weight.assign(-before)
    try:
        message = verification_error(translator, written, tmp_path)
    finally:
        weight.assign(before)
    assert message.startswith("signature serving_default, row 0 (text ")
    assert [line[:14] for line in message.splitlines()[1:]] == ["  this process", "  the export  "]


def test_other_tokenizer(translator, written, tmp_path):
    source, target = tokenizers(targets=f"b g {TARGETS}")
    assert target.vocabulary[4:6] == ("b", "g")
    assert target.size == translator.target_tokenizer.size
    swapped = Translator(translator.model, source, target, translator.decoding)
    head, one, other = verification_error(swapped, written, tmp_path).splitlines()
    assert head.startswith("signature ") and ": text" in head
    assert one.split()[2:] != other.split()[2:]


@pytest.mark.slow
def test_dropped_mask(translator, written, tmp_path, monkeypatch):
    softmax = functions.masked_softmax
    monkeypatch.setattr(functions, "masked_softmax", lambda scores, mask=None: softmax(scores))
    # a new translator traces again
    unmasked = Translator(translator.model, *tokenizers(), Decoding(beam_size=3, max_length=20))
    message = verification_error(unmasked, written, tmp_path)
    # A single text has no padding; the first request with several texts differs.
    assert "signature serving_default, row " in message
    assert "score" in message or "text" in message


def test_damaged_file(translator, written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "exchange").mkdir()
    message = verification_error(translator, copy, tmp_path / "exchange")
    assert message.startswith("the export fails at signature serving_default: ")


def test_process_that_ends_early(translator, written, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "none"))
    message = verification_error(translator, written, tmp_path)
    assert message.startswith("the process that loads the export ended with status 1: ")


@pytest.mark.slow
def test_moved_export_equals_the_model(translator, written, tmp_path):
    moved = tmp_path / "elsewhere" / "7"
    shutil.copytree(written, moved)
    corpus = load_export_corpus(moved)
    assert b"a b c" in corpus.texts and b"b c" in corpus.targets
    models = {
        "run": lambda requests: run_requests(translator, requests),
        "moved": session_runner(moved),
    }
    assert verify_models(models, corpus) == 11


def test_values_of_different_models_are_shown(translator):
    def other(requests):
        responses = run_requests(translator, requests)
        for request, response in zip(requests, responses, strict=True):
            if request.signature == "score":
                response["log_prob"] = response["log_prob"] + 0.5
        return responses

    models = {"one": lambda requests: run_requests(translator, requests), "b": other}
    with pytest.raises(VerificationError) as caught:
        verify_models(models, build_corpus(translator, PAIRS))
    head, *lines = str(caught.value).splitlines()
    assert head == "signature score, row 0 (text 'a b c', target 'b c'): log_prob"
    one, two = (line.split() for line in lines)
    assert (one[0], two[0]) == ("one", "b")
    assert float(two[1]) - float(one[1]) == pytest.approx(0.5)


def test_description_of_a_request_names_its_options():
    request = build_request("translate", ["a", b"\xff"], [{"beam_size": 2}, {"max_length": 3}])
    assert request.describe(0) == "text 'a', beam_size 2"
    assert request.describe(1) == "text '\N{REPLACEMENT CHARACTER}', max_length 3"
