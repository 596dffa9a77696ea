"""Strings to strings, with the real tokenizers and a tiny model."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.signatures.caps import CAPS
from keras_s2s.signatures.fields import SERVING_DEFAULT, TRANSLATE
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models

LETTERS = TokenizerConfig(kind="whitespace", size=None)
TEXTS = ["a b c", "", "c", "i h g f e", "zz a"]


@pytest.fixture(scope="module")
def tokenizers():
    return train(LETTERS, ["a b c d e f g h i"]), train(LETTERS, ["a b c d e f g"])


@pytest.fixture(scope="module", params=["softmax", "pointer"])
def translator(request, tokenizers):
    return Translator(models.make("bigru", "gru", request.param), *tokenizers)


def test_every_line_has_a_translation(translator):
    lines = translator.translate(TEXTS)
    assert len(lines) == len(TEXTS)
    assert all(isinstance(line, str) for line in lines)
    assert translator.translate([]) == []


def test_order_and_results_do_not_depend_on_batches(translator):
    together = translator.decode(TEXTS, num_hypotheses=2)
    for size in (1, 2):
        apart = translator.decode(TEXTS, num_hypotheses=2, batch_size=size)
        for one, other in zip(together, apart):
            assert [h.text for h in one] == [h.text for h in other]
            np.testing.assert_allclose([h.score for h in one], [h.score for h in other], atol=1e-4)


def test_a_constraint_does_not_affect_other_rows(translator):
    plain = translator.decode(TEXTS, num_hypotheses=2)  # traced without constrained search
    constraints = [[] for _ in TEXTS] + [["g"]]
    *rows, constrained = translator.decode(
        [*TEXTS, "a b"], num_hypotheses=2, constraints=constraints
    )
    assert all("g" in hypothesis.tokens for hypothesis in constrained)
    for row, expected in zip(rows, plain, strict=True):
        assert [h.tokens for h in row] == [h.tokens for h in expected]
        np.testing.assert_allclose([h.score for h in row], [h.score for h in expected], atol=1e-4)


def test_hypotheses_are_complete(translator):
    for text, found in zip(TEXTS, translator.decode(TEXTS, num_hypotheses=3, max_length=4)):
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        for h in found:
            assert h.text == " ".join(h.tokens)
            assert h.source_tokens == [*text.split(), "</s>"]
            assert h.alignment.shape == (len(h.tokens), len(h.source_tokens))
            np.testing.assert_allclose(h.alignment.sum(1), 1, atol=1e-5)
            assert len(h.tokens) <= 4


def test_a_pointer_head_copies_unknown_tokens(tokenizers):
    model = models.make("bigru", "gru", "pointer")
    model.head.gate.bias.assign([-30.0])  # nothing but copies
    copied = Translator(model, *tokenizers).translate(["i zz", "héé"], max_length=3)
    assert set(copied[0].split()) <= {"i", "zz"}
    assert set(copied[1].split()) <= {"héé"}


def test_a_saved_run_gives_equal_results(translator, tmp_path):
    translator.decoding = Decoding(beam_size=2, max_length=7)
    translator.save(tmp_path / "run")
    loaded = Translator.load(tmp_path / "run")
    assert loaded.decoding == translator.decoding
    assert loaded.translate(TEXTS) == translator.translate(TEXTS)


def test_a_half_precision_model_decodes_in_float32(tokenizers):
    model = models.make("pre", "pre", "tied", "mixed_bfloat16")
    translator = Translator(model, *tokenizers)
    assert translator.model.dtype_policy.name == "float32"
    assert {layer.compute_dtype for layer in translator.model._flatten_layers()} == {"float32"}
    for old, new in zip(model.weights, translator.model.weights):
        np.testing.assert_array_equal(old, new)


def test_outputs_match_the_signatures(translator):
    columns = [tf.constant([field.default] * 2) for field in TRANSLATE.inputs[1:]]
    outputs = translator.translate_tensors(tf.constant(["a b", "c"]), *columns)
    assert sorted(outputs) == sorted(TRANSLATE.output_names())
    for field in TRANSLATE.outputs:
        assert outputs[field.name].dtype == field.dtype, field.name
        assert outputs[field.name].shape.rank == len(field.shape), field.name
    short = translator.serving_default(tf.constant(["a b", "c"]))
    for field in SERVING_DEFAULT.outputs:
        assert (short[field.name].dtype, short[field.name].shape) == (field.dtype, (2,))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("beam_size", 0, "beam_size: expected 1 to 16, got 0"),
        ("beam_size", 17, "beam_size: expected 1 to 16, got 17"),
        ("num_hypotheses", 6, "num_hypotheses: expected 1 to 5, got 6"),
        ("length_penalty", float("nan"), "length_penalty: expected -10 to 10, got nan"),
        ("max_length", 300, "max_length: expected 0 to 256, got 300"),
        ("max_length", -1, "max_length: expected 0 to 256, got -1"),
    ],
)
def test_a_wrong_option_affects_its_own_row_only(translator, option, value, message):
    given = {"beam_size": 5, "num_hypotheses": 1, "length_penalty": 0.6, "max_length": 9}
    columns = {name: [good, good] for name, good in given.items()}
    columns[option][1] = value
    types = {field.name: field.dtype for field in TRANSLATE.inputs}
    outputs = translator.translate_tensors(
        tf.constant(["a b", "a b"]),
        **{name: tf.constant(x, types[name]) for name, x in columns.items()},
    )
    assert [error.decode() for error in outputs["error"].numpy()] == ["", message]
    assert outputs["score"].numpy()[1].max() == -1e9
    assert not outputs["text"].numpy()[1].any()
    assert not outputs["alignment"].numpy()[1].any()
    alone = translator.decode(["a b"], **given)[0][0]
    assert outputs["text"].numpy()[0, 0].decode() == alone.text
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        translator.translate(["a b"], **{**given, option: value})


def test_an_over_long_text_gives_a_warning_and_an_empty_line(translator, caplog):
    with caplog.at_level(logging.WARNING):
        lines = translator.translate(["a " * (CAPS["source_length"] + 1), "a"], max_length=2)
    assert lines[0] == ""
    assert lines[1] == translator.translate(["a"], max_length=2)[0]
    assert "text tokens: expected 0 to 1024, got 1025: an empty target for a a a" in caplog.text
    with caplog.at_level(logging.WARNING):
        assert translator.translate(["a" * 70000]) == [""]
    assert "text bytes: expected 0 to 65536, got 70000" in caplog.text


def test_wrong_arguments_are_named(translator, tokenizers, tmp_path):
    with pytest.raises(ValueError, match="texts: expected a list of strings, got the string 'a b'"):
        translator.translate("a b")
    with pytest.raises(ValueError, match="unknown option 'beam': expected one of .*beam_size"):
        translator.decode(["a"], beam=3)
    with pytest.raises(
        ValueError, match="target_tokenizer: expected 11 entries, the model's, got 13"
    ):
        Translator(translator.model, tokenizers[0], tokenizers[0])
    with pytest.raises(UserError, match="nowhere: expected a run directory"):
        Translator.load(tmp_path / "nowhere")


def test_numbers_that_no_tensor_holds_are_refused(translator):
    for name, value in (
        ("max_length", 2**32 + 3),
        ("beam_size", 2**32 + 4),
        ("min_length", -(2**40)),
    ):
        with pytest.raises(
            UserError, match=f"{name}: expected a number that fits int32, got {value}"
        ):
            translator.decode(["a"], **{name: value})
    inputs = {"text": [b"a"], "max_length": np.array([2**32 + 3])}
    with pytest.raises(UserError, match="max_length: expected a number that fits int32"):
        translator.predict("translate", inputs)
    with pytest.raises(UserError, match="batch_size: expected an integer of at least 1, got 0"):
        translator.translate(["a"], batch_size=0)


def test_arrays_serve_as_options(translator):
    sizes = np.array([1, 4])
    by_array = translator.decode(["a b", "c"], beam_size=sizes, num_hypotheses=sizes, max_length=3)
    by_list = translator.decode(["a b", "c"], beam_size=[1, 4], num_hypotheses=[1, 4], max_length=3)
    texts = [[[h.text for h in row] for row in rows] for rows in (by_array, by_list)]
    assert texts[0] == texts[1]
    assert [len(hypotheses) for hypotheses in by_array] == [1, 4]
