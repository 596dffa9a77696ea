"""Average attention and SSRU against the papers' formulas, and the decoder they stand in."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import FastTransformerDecoder
from keras_s2s.decoders.average_attention import AverageAttention
from keras_s2s.decoders.ssru import SSRU
from keras_s2s.encoders import Memory
from tests import references
from tests.references import (
    assert_close,
    linear,
    normal,
    randomise,
    right_padded,
    run_both,
    sigmoid,
)

MASK = right_padded([4, 2, 0], 4)


def average():
    layer = AverageAttention(8, 12)
    layer.build((None, None, 8))
    return randomise(layer)


def ssru():
    layer = SSRU(8)
    layer.build((None, None, 8))
    return randomise(layer)


def averaged(layer, x):
    """Zhang et al. 2018, equations 4 to 6, for one row [N, D]."""
    outputs = []
    for j, y in enumerate(x):
        mean = x[: j + 1].sum(0) / (j + 1)
        inner = np.maximum(linear(layer.feed_forward.inner, mean), 0)
        g = linear(layer.feed_forward.outer, inner)
        i, f = np.split(sigmoid(linear(layer.gate, np.concatenate([y, g]))), 2)
        outputs.append(i * y + f * g)
    return np.array(outputs)


def recurred(layer, x):
    """Kim et al. 2019, section 3.1, for one row [N, D]."""
    c, outputs = np.zeros(8), []
    for y in x:
        f = sigmoid(linear(layer.gate, y))
        c = f * c + (1 - f) * linear(layer.projection, y)
        outputs.append(np.maximum(c, 0))
    return np.array(outputs)


@pytest.mark.parametrize(("make", "formula"), [(average, averaged), (ssru, recurred)])
def test_against_the_formula(make, formula):
    layer, x = make(), normal(3, 6, 8)
    outputs, maps = run_both(layer, x)
    assert maps is None
    assert_close(outputs, [formula(layer, row) for row in x.astype("float64")])


@pytest.mark.parametrize("make", [average, ssru])
def test_steps_equal_the_whole_with_a_state_of_one_size(make):
    layer, x = make(), normal(3, 2, 6, 8)  # [B, K, N, D]
    cache = layer.initial_cache(3, 2)
    for t in range(6):
        out, cache = layer.step(tf.reshape(x[:, :, t], [6, 8]), (3, 2), tf.constant(t), cache)
        assert {name: leaf.shape for name, leaf in cache.items()} == {"past": (3, 2, 8)}
        for k in range(2):
            assert_close(tf.reshape(out, [3, 2, 8])[:, k], layer(x[:, k])[0][:, t])


@pytest.mark.parametrize("cls", [average, ssru])
def test_a_long_half_precision_state_is_float32(cls):
    layer = cls()
    narrow = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    narrow.build((None, None, 8))
    narrow.set_weights(layer.get_weights())
    x = np.ones((1, 600, 8), "float32") * 0.3  # 600 * 0.3 has too many digits for bfloat16
    given = narrow(x)[0]
    assert given.dtype == tf.bfloat16
    np.testing.assert_allclose(given[0, -1], layer(x)[0][0, -1], atol=0.05)
    _, cache = narrow.step(tf.cast(x[:, 0], tf.bfloat16), (1, 1), 0, narrow.initial_cache(1, 1))
    assert cache["past"].dtype == tf.float32


def decoder(**options):
    layer = FastTransformerDecoder(8, 2, 2, 12, **options)
    layer.build((None, None, 8), {"memory": {"values": (None, None, 6)}})
    return randomise(layer, scale=0.4)


@pytest.mark.parametrize(("history", "formula"), [("average", averaged), ("ssru", recurred)])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_decoder(norm, history, formula, monkeypatch):
    layer = decoder(norm=norm, history=history)
    values = normal(3, 4, 6, seed=7) * MASK[:, :, None]
    memory = Memory(*map(tf.constant, (values, MASK, normal(3, 6, seed=8))))
    x = normal(3, 5, 8)
    outputs, maps = run_both(lambda x: layer(x, layer.prepare(memory, {}), maps="all"), x)
    assert set(maps) == {"cross"}

    def look_back(part, x, mask):
        return formula(part, x), None

    monkeypatch.setattr(references, "self_attention", look_back)
    for b in range(3):
        y, cross = references.add_positions(layer, x[b]), []
        for part in layer.layers:
            y, _, seen = references.transformer_layer(part, y, None, values[b], MASK[b])
            cross.append(seen)
        y = references.layer_norm(layer.final_norm, y) if norm == "pre" else y
        assert_close((outputs[b], maps["cross"][b]), (y, np.concatenate(cross)))


@pytest.mark.parametrize("history", ["average", "ssru"])
def test_configuration_and_weights(history):
    layer = decoder(history=history)
    again = FastTransformerDecoder.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert not any("self_attention" in weight.path for weight in layer.weights)
    state = layer.initial_state({"memory": {"mask": tf.constant(MASK)}}, 3)
    assert {leaf.shape for leaf in tf.nest.flatten(state)} == {(3, 3, 8)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": "lru"}, "history: expected 'average' or 'ssru', came 'lru'"),
        ({"positions": "rotary"}, "positions: expected one of "),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        decoder(**options)
