"""Proofs that fail, each for its reason, and what they say."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.config import Decoding
from keras_s2s.export import NotProven, export_translator
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
from keras_s2s.export.verification.request_runner import run_request
from keras_s2s.translator import Translator
from tests.export.tiny_models import TARGETS, make_translator, tokenizers

PAIRS = [("a b c", "b c"), ("d e f g", "e a")]


@pytest.fixture(scope="module")
def translator():
    return make_translator(Decoding(beam_size=3, max_length=20))


@pytest.fixture(scope="module")
def written(translator, tmp_path_factory):
    """An export that no proof has seen."""
    path = tmp_path_factory.mktemp("written") / "1"
    path.mkdir()
    write_plainly(translator, path)
    return path


def write_plainly(translator, path):
    exporter._write(translator, path, Variant(), {}, None)
    write_requests(path / WARMUP, warmup_requests(build_corpus(translator, PAIRS)))


def fails(translator, path, place):
    with pytest.raises(NotProven) as found:
        verify_export(translator, path, place, build_corpus(translator, PAIRS))
    return str(found.value)


def test_a_callback_into_python_publishes_nothing(translator, tmp_path, monkeypatch):
    graphs = translator.functions()

    def with_callback(text, *columns):
        return graphs["score"](tf.numpy_function(lambda x: x, [text], tf.string), *columns)

    monkeypatch.setattr(translator, "graphs", lambda: graphs | {"score": with_callback})
    with pytest.raises(NotProven, match="operation PyFunc .*: a callback into Python"):
        export_translator(translator, tmp_path)
    assert os.listdir(tmp_path) == []


def test_one_bit_of_one_weight(translator, written, tmp_path):
    weight = translator.model.weights[0]
    before = weight.numpy()
    changed = before.copy()
    changed[2, 1] = np.nextafter(changed[2, 1], np.float32(np.inf))
    weight.assign(changed)
    try:
        said = fails(translator, written, tmp_path)
    finally:
        weight.assign(before)
    name, ours, theirs = said.splitlines()
    assert name.startswith("weight ") and name.endswith("[2, 1]")
    assert ours.split() == ["this", "process", f"{changed[2, 1]:.9g}"]
    assert theirs.split() == ["the", "export", f"{before[2, 1]:.9g}"]


@pytest.mark.slow
def test_a_weight_that_changes_what_is_said(translator, written, tmp_path):
    weight = translator.model.weights[0]
    before = weight.numpy()
    weight.assign(-before)
    try:
        said = fails(translator, written, tmp_path)
    finally:
        weight.assign(before)
    assert said.startswith("signature serving_default, row 0 (text ")
    assert [line[:14] for line in said.splitlines()[1:]] == ["  this process", "  the export  "]


def test_another_tokenizer(translator, written, tmp_path):
    source, target = tokenizers(targets=f"b g {TARGETS}")
    assert target.vocabulary[4:6] == ("b", "g")
    assert target.size == translator.target_tokenizer.size
    swapped = Translator(translator.model, source, target, translator.decoding)
    head, one, other = fails(swapped, written, tmp_path).splitlines()
    assert head.startswith("signature ") and ": text" in head
    assert one.split()[2:] != other.split()[2:]


def test_a_mask_that_is_dropped(translator, written, tmp_path, monkeypatch):
    softmax = functions.masked_softmax
    monkeypatch.setattr(functions, "masked_softmax", lambda scores, mask=None: softmax(scores))
    # traced anew
    careless = Translator(translator.model, *tokenizers(), Decoding(beam_size=3, max_length=20))
    said = fails(careless, written, tmp_path)
    # Alone a text has no padding: where several stand together the first one differs.
    assert "signature serving_default, row " in said
    assert "score" in said or "text" in said


def test_a_file_that_is_damaged(translator, written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    (tmp_path / "place").mkdir()
    said = fails(translator, copy, tmp_path / "place")
    assert said.startswith("the export fails at signature serving_default: ")


def test_a_process_that_ends_early(translator, written, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "none"))
    said = fails(translator, written, tmp_path)
    assert said.startswith("the process that loads the export ended by 1: ")


def test_an_export_that_was_moved_is_still_the_model(translator, written, tmp_path):
    moved = tmp_path / "elsewhere" / "7"
    shutil.copytree(written, moved)
    material = load_export_corpus(moved)
    assert b"a b c" in material.texts and b"b c" in material.targets
    answers = {
        "run": lambda asked: [run_request(translator, probe) for probe in asked],
        "moved": session_runner(moved),
    }
    assert verify_models(answers, material) == 11


def test_models_that_differ_are_shown_side_by_side(translator):
    def other(asked):
        answers = [run_request(translator, probe) for probe in asked]
        for probe, answer in zip(asked, answers, strict=True):
            if probe.signature == "score":
                answer["log_prob"] = answer["log_prob"] + 0.5
        return answers

    answers = {"one": lambda asked: [run_request(translator, probe) for probe in asked], "b": other}
    with pytest.raises(NotProven) as found:
        verify_models(answers, build_corpus(translator, PAIRS))
    head, *lines = str(found.value).splitlines()
    assert head == "signature score, row 0 (text 'a b c', target 'b c'): log_prob"
    one, two = (line.split() for line in lines)
    assert (one[0], two[0]) == ("one", "b")
    assert float(two[1]) - float(one[1]) == pytest.approx(0.5)


def test_a_request_names_the_options_of_its_rows():
    probe = build_request("translate", ["a", b"\xff"], [{"beam_size": 2}, {"max_length": 3}])
    assert probe.describe(0) == "text 'a', beam_size 2"
    assert probe.describe(1) == "text '\N{REPLACEMENT CHARACTER}', max_length 3"
