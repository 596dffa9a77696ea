"""Transformer layers against the paper's formulas, over sequences and by steps."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers import masks
from keras_s2s.layers.transformer import TransformerLayer
from tests import references
from tests.references import (
    assert_close,
    cache_mask,
    normal,
    randomise,
    right_padded,
    run_both,
)

MEMORY_MASK = right_padded([4, 2, 0], 4)

BOTH = pytest.mark.parametrize("norm", ["pre", "post"])


def make(cross=False, norm="pre", **options):
    layer = TransformerLayer(8, 2, 12, cross=cross, norm=norm, **options)
    layer.build((None, None, 8), (None, None, 6))
    return randomise(layer, scale=0.4)


def run(layer, x, memory, mask):
    memory = layer.project(memory, MEMORY_MASK)
    return layer(x, memory=memory, mask=mask)


@BOTH
def test_encoder_layer(norm):
    layer, x = make(norm=norm), normal(3, 4, 8)
    outputs, maps, cross = run_both(lambda x: layer(x, mask=MEMORY_MASK[:, None]), x)
    assert cross is None
    for b in range(3):
        mask = np.tile(MEMORY_MASK[b], (4, 1))
        expected, weights, _ = references.transformer_layer(layer, x[b], mask)
        assert_close((outputs[b], maps[b]), (expected, weights))


@BOTH
def test_decoder_layer(norm):
    layer, x, memory = make(True, norm), normal(3, 5, 8), normal(3, 4, 6, seed=1)
    mask = masks.causal(5)
    results = run_both(lambda x, m: run(layer, x, m, mask[None]), x, memory)
    for b in range(3):
        expected = references.transformer_layer(
            layer, x[b], mask.numpy(), memory[b], MEMORY_MASK[b]
        )
        assert_close(tuple(part[b] for part in results), expected)


@BOTH
@pytest.mark.parametrize("max_length", [None, 7])
def test_steps_equal_the_call(norm, max_length):
    layer, memory = make(True, norm), normal(3, 4, 6, seed=1)
    x = normal(3, 2, 5, 8)  # [B, K, T, D]
    projected = layer.project(memory, MEMORY_MASK)
    cache = layer.self_attention.initial_cache(3, 2, max_length)
    expected = [run(layer, x[:, k], memory, masks.causal(5)[None]) for k in range(2)]
    for t in range(5):
        arguments = x[:, :, t].reshape(6, 8), (3, 2), tf.constant(t), projected, cache
        rows, cache, weights = layer.step(*arguments, cache_mask(max_length, t))
        outputs = tf.reshape(rows, [3, 2, 8])
        for k, (sequence, _, cross) in enumerate(expected):
            assert_close((outputs[:, k], weights[:, :, k]), (sequence[:, t], cross[:, :, t]))


def test_a_layer_without_cross_attention_has_no_memory():
    layer = make()
    assert layer.project(normal(3, 4, 6), MEMORY_MASK) is None
    assert layer.cross_attention is None
    cache = layer.self_attention.initial_cache(1, 1)
    assert layer.step(normal(1, 8), (1, 1), tf.constant(0), None, cache)[2] is None


@BOTH
def test_dropout_in_training_only(norm):
    layer, x, memory = make(True, norm, dropout=0.4), normal(3, 5, 8), normal(3, 4, 6)
    projected = layer.project(memory, MEMORY_MASK)
    assert_close(layer(x, memory=projected)[0], layer(x, memory=projected, training=False)[0], 0)
    outputs = [layer(x, memory=projected, training=True)[0] for _ in range(2)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-2


def test_configuration_round_trip():
    config = make(True, "post", dropout=0.1, activation="gelu").get_config()
    assert TransformerLayer.from_config(config).get_config() == config


def test_unknown_norm():
    with pytest.raises(ValueError, match="norm: expected 'pre' or 'post', got 'layer'"):
        TransformerLayer(8, 2, 12, norm="layer")


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"num_heads: expected a divisor of units \(8\), got 3"):
        TransformerLayer(8, 3, 12)
