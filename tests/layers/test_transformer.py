"""Transformer layers against the paper's formulas, whole and one position at a time."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers import masks
from keras_s2s.layers.feed_forward import FeedForward
from keras_s2s.layers.normalization import make_norm
from keras_s2s.layers.transformer import TransformerLayer
from keras_s2s.layers.transformer_stack import check_stack
from tests import references
from tests.references import (
    assert_close,
    cache_mask,
    linear,
    normal,
    randomise,
    right_padded,
    run_both,
)

MEMORY_MASK = right_padded([4, 2, 0], 4)
BOTH = pytest.mark.parametrize("norm", ["pre", "post"])


def made(cross=False, norm="pre", **options):
    layer = TransformerLayer(8, 2, 12, cross=cross, norm=norm, **options)
    layer.build((None, None, 8), (None, None, 6))
    return randomise(layer, scale=0.4)


def whole(layer, x, memory, mask):
    memory = layer.project(memory, MEMORY_MASK)
    return layer(x, memory=memory, mask=mask)


def test_feed_forward():
    layer = FeedForward(4, 6)
    layer.build((None, 4))
    randomise(layer)
    x = normal(2, 3, 4)
    expected = linear(layer.outer, np.maximum(linear(layer.inner, x), 0))
    assert_close(run_both(layer, x), expected)


def test_feed_forward_with_another_activation():
    layer, x = FeedForward(4, 6, activation="tanh"), normal(2, 3, 4)
    layer.build((None, 4))
    assert_close(layer(x), linear(layer.outer, np.tanh(linear(layer.inner, x))))
    assert FeedForward.from_config(layer.get_config()).get_config() == layer.get_config()


def test_norm():
    layer, x = make_norm("float32"), normal(3, 4) * 1e-3
    assert (layer.epsilon, make_norm("float32", 0.1).epsilon) == (1e-6, 0.1)
    layer.build((None, 4))
    randomise(layer)
    assert_close(layer(x), references.layer_norm(layer, x))


@BOTH
def test_encoder_layer(norm):
    layer, x = made(norm=norm), normal(3, 4, 8)
    outputs, maps, cross = run_both(lambda x: layer(x, mask=MEMORY_MASK[:, None]), x)
    assert cross is None
    for b in range(3):
        mask = np.tile(MEMORY_MASK[b], (4, 1))
        expected, seen, _ = references.transformer_layer(layer, x[b], mask)
        assert_close((outputs[b], maps[b]), (expected, seen))


@BOTH
def test_decoder_layer(norm):
    layer, x, memory = made(True, norm), normal(3, 5, 8), normal(3, 4, 6, seed=1)
    mask = masks.causal(5)
    results = run_both(lambda x, m: whole(layer, x, m, mask[None]), x, memory)
    for b in range(3):
        expected = references.transformer_layer(
            layer, x[b], mask.numpy(), memory[b], MEMORY_MASK[b]
        )
        assert_close(tuple(part[b] for part in results), expected)


@BOTH
@pytest.mark.parametrize("max_length", [None, 7])
def test_steps_equal_the_whole(norm, max_length):
    layer, memory = made(True, norm), normal(3, 4, 6, seed=1)
    x = normal(3, 2, 5, 8)  # [B, K, T, D]
    projected = layer.project(memory, MEMORY_MASK)
    cache = layer.self_attention.initial_cache(3, 2, max_length)
    wholes = [whole(layer, x[:, k], memory, masks.causal(5)[None]) for k in range(2)]
    for t in range(5):
        given = x[:, :, t].reshape(6, 8), (3, 2), tf.constant(t), projected, cache
        flat, cache, weights = layer.step(*given, cache_mask(max_length, t))
        outputs = tf.reshape(flat, [3, 2, 8])
        for k, (expected, _, cross) in enumerate(wholes):
            assert_close((outputs[:, k], weights[:, :, k]), (expected[:, t], cross[:, :, t]))


def test_a_layer_without_cross_attention_has_no_memory():
    layer = made()
    assert layer.project(normal(3, 4, 6), MEMORY_MASK) is None
    assert layer.cross_attention is None
    cache = layer.self_attention.initial_cache(1, 1)
    assert layer.step(normal(1, 8), (1, 1), tf.constant(0), None, cache)[2] is None


@BOTH
def test_dropout_in_training_alone(norm):
    layer, x, memory = made(True, norm, dropout=0.4), normal(3, 5, 8), normal(3, 4, 6)
    seen = layer.project(memory, MEMORY_MASK)
    assert_close(layer(x, memory=seen)[0], layer(x, memory=seen, training=False)[0], 0)
    drawn = [layer(x, memory=seen, training=True)[0] for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-2


def test_dropout_after_the_activation():
    layer = FeedForward(4, 64, dropout=0.5)
    x = normal(2, 4)
    assert_close(layer(x), layer(x, training=False), 0)
    assert np.abs(layer(x, training=True) - layer(x)).max() > 1e-3


def test_configuration_round_trip():
    config = made(True, "post", dropout=0.1, activation="gelu").get_config()
    assert TransformerLayer.from_config(config).get_config() == config


def test_unknown_norm():
    with pytest.raises(ValueError, match="norm: expected 'pre' or 'post', came 'layer'"):
        TransformerLayer(8, 2, 12, norm="layer")


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"num_heads: expected a divisor of units \(8\), came 3"):
        TransformerLayer(8, 3, 12)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1, 1, None), "units: expected a positive integer, came 0"),
        ((8, 0, 1, None), "num_layers: expected a positive integer, came 0"),
        ((8, 1, 1.5, None), "num_heads: expected a positive integer, came 1.5"),
        ((8, 1, 1, -3), "hidden_units: expected a positive integer, came -3"),
        ((5, 1, 1, None), "units: expected an even width for sinusoidal positions, came 5"),
        ((8, 1, 1, None, 0), "epsilon: expected a number between 0 and 1, came 0"),
        ((8, 1, 1, None, "x"), "epsilon: expected a number between 0 and 1, came 'x'"),
        ((8, 1, 1, None, 0.1, "learnt"), "positions: .* of sinusoidal, vaswani, .*, came 'learnt'"),
        ((8, 1, 1, None, 0.1, ["t5"]), r"positions: expected one of .*, came \['t5'\]"),
        (
            (8, 1, 1, None, 0.1, {"kind": "none", "base": 2}),
            "positions: none has no arguments, came base",
        ),
        ((8, 1, 1, None, 0.1, "vaswani", 2), "scaled: expected True or False, came 2"),
        (
            (8, 1, 1, None, 0.1, "vaswani", True, -1),
            "first_position: expected an integer of at least 0, came -1",
        ),
    ],
)
def test_sizes_of_a_stack(sizes, message):
    with pytest.raises(ValueError, match=message):
        check_stack(*sizes)
