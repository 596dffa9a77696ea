"""LiteRT files: conversion of the conformance models, and searches equal to those of Keras."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_s2s import cli, search
from keras_s2s.config import Decoding, SpecialIds, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.export import export_litert
from keras_s2s.export.litert.converter import check_operations, convert
from keras_s2s.export.litert.exporter import export_litert_translator
from keras_s2s.export.litert.signature_functions import LiteRTSignatures, as_outputs
from keras_s2s.export.litert.verification import QUANTIZATION_LIMITS, measure_quantization, run_file
from keras_s2s.export.model_card import read_card
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.tokenizers import Pointers, train
from keras_s2s.translator import Translator
from tests.conformance import models, parts
from tests.export.tiny_models import make_translator

FAST = [
    ("pre", "pre", "tied"),
    ("bilstm", "grus", "pointer"),
]
# An edge runner has no tokenizer for the target of a pointer network.
SLOW = [c for c in parts.PAIRWISE + parts.MORE if c not in FAST and c[2] != "network"]
CASES = [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
CAPS = {"beam_size": 4, "max_length": 9}


def options(rows, **arguments):
    """Columns of B values, as the signatures take them."""
    kept = {"beam_size": 3, "num_hypotheses": 2, "min_length": 0, "max_length": 8} | arguments
    reals = {"length_penalty": np.float32(0.6), "length_offset": np.float32(5.0)}
    whole = {name: np.int32(value) for name, value in kept.items()}
    return {name: np.broadcast_to(value, [rows]).copy() for name, value in (whole | reals).items()}


def source(lengths, copies):
    made = models.source(lengths, max(lengths))
    if not copies:
        del made["copy_ids"]
    return made


def given_by(source, lengths):
    kept = {name: value.numpy() for name, value in source.items() if name != "mask"}
    return kept | {"lengths": np.array(lengths, np.int32)}


@pytest.mark.parametrize(("encoder", "decoder", "head"), CASES)
def test_search_equals_that_of_keras(encoder, decoder, head):
    check_search(models.make(encoder, decoder, head))


@pytest.mark.slow
def test_vocabulary_that_keras_searches_by_blocks(monkeypatch):
    monkeypatch.setattr(models, "TARGET_SIZE", 320)
    check_search(models.make("gru", "gru", "softmax"))


def check_search(model):
    graphs = LiteRTSignatures(model, CAPS).concrete(["translate_ids"])
    content = convert(graphs, [weight.value for weight in model.weights])
    assert check_operations(content)["WHILE"] >= 1
    run = Interpreter(model_content=content).get_signature_runner("translate_ids")
    for lengths in ((5, 3, 1, 2), (4,), (1,), (1, 5)):
        x = source(lengths, model.supports_copy)
        request = options(len(lengths))
        request["beam_size"][0] = request["num_hypotheses"][0] = 1  # greedy and beam search
        columns = {name: tf.constant(value) for name, value in request.items()}
        expected = search.search(model.begin, model.next, x, search.Options(**columns))
        expected = as_outputs(expected)
        found = run(**given_by(x, lengths), **request)
        for name in ("lengths", "finished"):
            np.testing.assert_array_equal(found[name], expected[name])
        for name in ("score", "log_prob"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
        expected = {name: np.asarray(value) for name, value in expected.items()}
        differs = (found["ids"] != expected["ids"]).any(2)  # [B, K]
        for row, k in np.argwhere(differs):  # equal scores: rounding decides
            assert differs.mean() < 0.5
            one = {name: value[row : row + 1] for name, value in x.items()}
            log_prob = scored(model, one, found["ids"][row, k], found["lengths"][row, k])
            np.testing.assert_allclose(log_prob, found["log_prob"][row, k], atol=1e-4)
        for name in ("token_log_probs", "alignment"):
            np.testing.assert_allclose(found[name][~differs], expected[name][~differs], atol=1e-4)


def scored(model, source, ids, length):
    """The log-probability of a target that ended: the sum of its tokens' and the end's."""
    special = SpecialIds()
    read = np.array([[special.start, *ids[:length]]], np.int32)
    logits = model({"source": source, "target": tf.constant(read)})[0]
    wanted = [*ids[:length], special.end]
    return sum(tf.nn.log_softmax(logits).numpy()[place, i] for place, i in enumerate(wanted))


@pytest.fixture(scope="module")
def run():
    model = models.make("gru", "gru", "softmax")
    graphs = LiteRTSignatures(model, CAPS).concrete(["translate_ids"])
    content = convert(graphs, [weight.value for weight in model.weights])
    return Interpreter(model_content=content).get_signature_runner("translate_ids")


def test_arbitrary_inputs_do_not_stop_the_interpreter(run):
    random = np.random.default_rng(1)
    edges = np.array([0, -1, 1, 3, 2**31 - 1, -(2**31)], np.int32)
    for _ in range(150):
        rows, width = random.integers(1, 4), random.integers(0, 7)
        ids = random.integers(-(2**31), 2**31, (rows, width)).astype(np.int32)
        given = {name: random.choice(edges, rows) for name in options(1)}
        odd = np.array([0, np.nan, np.inf, -np.inf, 1e38], np.float32)
        given |= {name: random.choice(odd, rows) for name in ("length_penalty", "length_offset")}
        found = run(ids=ids, lengths=random.choice(edges, rows), **given)
        assert found["lengths"].max() <= CAPS["max_length"]
        assert found["ids"].shape[:2] == found["score"].shape
        assert found["score"].shape[1] <= CAPS["beam_size"]


def test_empty_batch_is_an_error_and_the_next_call_succeeds(run):
    x = source((3,), False)
    with pytest.raises((RuntimeError, ValueError)):
        run(ids=np.zeros([0, 3], np.int32), lengths=np.zeros(0, np.int32), **options(0))
    assert run(**given_by(x, (3,)), **options(1))["score"].shape == (1, 2)


def test_invalid_id_is_unknown(run):
    def scores(number):
        ids = np.array([[5, number, 3]], np.int32)
        return run(ids=ids, lengths=np.array([3], np.int32), **options(1))["score"]

    unknown = scores(1)
    for number in (models.SOURCE_SIZE, -1, 2**31 - 1):
        np.testing.assert_array_equal(scores(number), unknown)
    assert not np.array_equal(scores(5), unknown)


def test_quantized_weights_are_smaller():
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(256, 256)).astype(np.float32))
    spec = tf.TensorSpec([None, 256], tf.float32, "x")
    double = tf.function(lambda x: {"y": tf.matmul(x, kernel)}).get_concrete_function(spec)
    x = np.random.default_rng(2).normal(size=(3, 256)).astype(np.float32)
    for kind, size, error in (("none", 4, 1e-4), ("float16", 2, 0.1), ("dynamic_int8", 1, 1.0)):
        content = convert({"double": double}, [kernel], kind)
        assert size * 256**2 < len(content) < size * 256**2 + 5000
        found = Interpreter(model_content=content).get_signature_runner("double")(x=x)["y"]
        np.testing.assert_allclose(found, x @ kernel.numpy(), atol=error)


@pytest.mark.parametrize("kind", ["weight_int8", "int4"])
def test_missing_quantizer_is_reported(kind):
    try:
        import ai_edge_quantizer  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match=f"quantize: {kind} needs the package"):
            convert({}, [], kind)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--quantize", "float16"], "--quantize: expected no value with --format saved_model"),
        (["--max-length", "9"], "--max-length: expected no value with --format saved_model"),
        (
            ["--format", "litert", "--batching"],
            "--batching: expected no value with --format litert",
        ),
        (["--format", "litert", "--weights", "int8"], "--weights: expected no value with --format"),
        (
            ["--format", "ctranslate2", "--version", "3"],
            "--version: expected no value with --format",
        ),
        (["--frozen"], "--frozen: removed; export without it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_removed_options_and_those_of_another_format_are_refused(words, named, tmp_path, capsys):
    assert cli.main(["export", str(tmp_path), str(tmp_path / "out"), *words]) == 2
    assert named in capsys.readouterr().err


def test_targets_without_text_are_refused(tmp_path):
    model = models.make("gru", "gru", "network")
    words = train(TokenizerConfig(kind="whitespace"), ["a b c d e f g h i"])
    assert words.size == models.SOURCE_SIZE
    with pytest.raises(UserError, match="format: litert needs a target of texts, got pointers"):
        export_litert_translator(Translator(model, words, Pointers(words)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_quantization_is_refused():
    with pytest.raises(UserError, match="quantize: expected one of none, float16.* got 'int2'"):
        convert({}, [], "int2")


def test_file_is_published_with_its_card(copying_file):
    translator, path = copying_file
    assert path.name == "1"
    files = {one.name for one in path.rglob("*") if one.is_file()}
    assert files == {"model.tflite", "model_card.json", "model_card.md"}
    assert "| quantization | none |" in (path / "assets.extra/model_card.md").read_text()


def test_other_model_fails_verification(copying_file, tmp_path):
    from keras_s2s.export.litert.verification import verify_float32
    from keras_s2s.export.verification.request_corpus import build_corpus

    translator, path = copying_file
    weight = translator.model.decoder.readout.bias
    before = weight.numpy()
    weight.assign(before + 0.5)
    with pytest.raises(VerificationError, match="this process"):
        verify_float32(translator, path / "model.tflite", tmp_path, build_corpus(translator))
    weight.assign(before)


def test_loss_of_quality_beyond_the_limit_is_refused(copying_file, tmp_path):
    translator, path = copying_file
    pairs = [("a b c", "a b"), ("d", "e f")]
    figures = measure_quantization(
        translator, path / "model.tflite", tmp_path, pairs, "wer", "float16"
    )
    assert figures["equal"] == 1.0
    assert figures["drift"] < 1e-5
    weight = translator.model.head.projection.bias
    before = weight.numpy()
    weight.assign(before + np.linspace(-3, 3, len(before)))
    with pytest.raises(VerificationError, match="quantize: expected float16 to"):
        measure_quantization(translator, path / "model.tflite", tmp_path, pairs, "wer", "float16")
    weight.assign(before)


def test_damaged_file_fails_verification(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"\0\0\0\0TFL3" + b"\xff" * 64)
    with pytest.raises(
        VerificationError, match="the LiteRT file fails at signature serving_default"
    ):
        run_file(tmp_path / "broken.tflite", tmp_path, [build_request("serving_default", ["a"])])


def test_missing_run_publishes_nothing(tmp_path):
    with pytest.raises(UserError):
        export_litert(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["weight_int8", "int4"])
def test_files_of_the_quantizer_are_measured(kind, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_quantizer")
    translator = make_translator(Decoding(beam_size=2, max_length=6))
    arguments = {"quantization": kind, "lines": [("a b c", "a b"), ("d e", "e f")], "metric": "wer"}
    path = export_litert_translator(translator, tmp_path / "good", **arguments)
    figures = read_card(path)["litert"]
    max_loss, max_drift = QUANTIZATION_LIMITS[kind]
    assert (figures["limit"], figures["drift_limit"], figures["metric"]) == (
        max_loss,
        max_drift,
        "wer",
    )
    assert 0 < figures["drift"] <= max_drift
    assert figures["quantized"] - figures["float32"] <= max_loss
    assert 0 <= figures["equal"] <= 1
    monkeypatch.setitem(QUANTIZATION_LIMITS, kind, (max_loss, 1e-9))
    with pytest.raises(VerificationError, match=f"quantize: expected {kind} to move the mean"):
        export_litert_translator(translator, tmp_path / "bad", **arguments)
    assert not list((tmp_path / "bad").glob("*"))
