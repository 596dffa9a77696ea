"""CTranslate2 specifications of models: supported parts, values and vocabularies."""

import ctranslate2
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import tokenizers
from keras_s2s.errors import UserError
from keras_s2s.export.ctranslate2 import model_spec
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.ctranslate2.transformer_models import LETTERS, PAIR, make
from tests.references import MARIAN


@pytest.mark.parametrize("name", ["gelu", "silu", "tanh", "sigmoid"])
def test_activations_with_a_tied_head_two_norms_and_a_long_source(tmp_path, name):
    more = {"silu": MARIAN, "tanh": {"first_position": 1}}.get(name, {})
    model = make("pre", "post", "output", PAIR, 0.3, activation=name, **more)
    model.encoder.source_end = name != "sigmoid"
    spec = model_spec.make_spec(Translator(model, *PAIR))
    model_spec.optimize(spec, "float32")
    spec.save(str(tmp_path))
    source = np.random.default_rng(1).integers(
        4, 13, [1, 1300]
    )  # more than CTranslate2 reads by default
    x = {"ids": tf.constant(np.append(source, [[3]], 1), tf.int32)}
    x["mask"] = tf.ones_like(x["ids"], tf.bool)
    log_probs, _ = models.call_model(model, x, tf.constant([[2, 5, 4]]))
    names = [side.vocabulary for side in PAIR]
    engine = ctranslate2.Translator(str(tmp_path), intra_threads=1)
    texts = [[names[0][i] for i in source[0]]], [[names[1][i] for i in (5, 4)]]
    (given,) = engine.score_batch(*texts, max_input_length=0)
    expected = [log_probs[0, place, token] for place, token in enumerate((5, 4, 3))]
    np.testing.assert_allclose(given.log_probs, expected, atol=2e-5)


def test_tokens_spelled_like_special_tokens():
    pair = tokenizers.train(LETTERS, ["a </s> b"]), tokenizers.train(LETTERS, ["A <s> <<s>>"])
    spec = model_spec.make_spec(Translator(make("pre", "pre", "none", pair), *pair))
    special = ["<pad>", "<unk>", "<<<s>>>", "<</s>>"]
    for tokenizer, found in zip(pair, spec._vocabularies.values(), strict=True):
        assert found == [special + list(tokenizer.vocabulary[4:])]
    config = spec.config.to_dict()
    assert config["bos_token"] == config["decoder_start_token"] == "<<<s>>>"
    assert (config["eos_token"], config["unk_token"]) == ("<</s>>", "<unk>")


def test_different_epsilons_are_refused():
    model = make("pre", "pre", "none", PAIR)
    model.decoder.epsilon = 0.1
    with pytest.raises(UserError, match=r"model\.decoder\.epsilon: expected .* 1e-06, .* got 0.1"):
        model_spec.check_parts(model)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("gru", "pre", "softmax"), r"model\.encoder: expected TransformerEncoder, .*RecurrentEnc"),
        (("pre", "gru", "softmax"), r"model\.decoder: expected TransformerDecoder, .*RecurrentDec"),
        (("rotary", "pre", "softmax"), r"model\.encoder\.positions: expected one of .* 'rotary'"),
        (("pre", "pre", "pointer"), r"model\.head: expected SoftmaxHead, .* got PointerGenerator"),
    ],
)
def test_unsupported_parts_are_named(parts, message):
    with pytest.raises(UserError, match=message):
        model_spec.check_parts(models.make(*parts))


def test_unsupported_activations_and_ensembles_are_refused():
    model = make("pre", "pre", "none", PAIR, activation="elu")
    known = "gelu, relu, sigmoid, silu, tanh"
    message = rf"model\.encoder\.activation: expected one of {known}, which .* got 'elu'"
    with pytest.raises(UserError, match=message):
        model_spec.check_parts(model)
    with pytest.raises(UserError, match="model: expected one Transformer, got Ensemble"):
        model_spec.check_parts(Ensemble([model, model]))
