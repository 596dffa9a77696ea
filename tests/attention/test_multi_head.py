"""Multi-head attention against the paper's formulas, over sequences and by steps."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import CrossAttention, SelfAttention
from keras_s2s.layers import masks
from tests import references
from tests.references import assert_close, cache_mask, normal, randomise, right_padded, run_both

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty

EMPTY = 2


def make_cross(**options):
    layer = CrossAttention(8, 2, **options)
    layer.build((None, None, 8), (None, None, 6))
    return randomise(layer)


def make_self(heads=2, **options):
    layer = SelfAttention(8, heads, **options)
    layer.build((None, None, 8))
    return randomise(layer)


def test_cross_attention():
    layer = make_cross()
    query, memory = normal(3, 4, 8), normal(3, 5, 6, seed=1)
    outputs, weights = run_both(lambda q, m: layer(q, *layer.project(m), mask=MASK), query, memory)
    for b in range(3):
        expected = references.cross_attention(layer, query[b], memory[b], MASK[b])
        assert_close((outputs[b], weights[b]), expected)
    np.testing.assert_array_equal(weights[EMPTY], 0.0)
    assert_close(outputs[EMPTY], np.tile(layer.output_projection.bias, (4, 1)), 1e-6)
    projected = (*layer.project(memory), MASK)
    rows, same = run_both(lambda q: layer.step(q, (3, 4), *projected), query.reshape(12, 8))
    assert_close((rows.reshape(3, 4, 8), same), (outputs, weights))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_self_attention(heads, causal):
    layer, x = make_self(heads), normal(3, 5, 8)
    mask = masks.causal(5).numpy()[None] if causal else MASK[:, None]
    outputs, weights = run_both(lambda x: layer(x, mask=mask), x)
    mask = np.broadcast_to(mask, (3, 5, 5))
    for b in range(3):
        assert_close((outputs[b], weights[b]), references.self_attention(layer, x[b], mask[b]))


def test_keys_of_their_own():
    layer = make_cross()
    memory = normal(3, 5, 6)
    other = memory[::-1]
    keys, values = layer.project(memory, other)
    assert_close(keys, layer.project(other)[0])
    assert_close(values, layer.project(memory)[1])


def test_self_attention_without_a_mask():
    layer, x = make_self(), normal(3, 5, 8)
    assert_close(layer(x), layer(x, mask=tf.ones([3, 5, 5], tf.bool)))


@pytest.mark.parametrize("max_length", [None, 5, 9])
def test_steps_over_a_cache_equal_the_call(max_length):
    layer, x = make_self(), normal(2, 3, 5, 8)  # [B, K, T, D]
    expected, _ = layer(x.reshape(6, 5, 8), mask=masks.causal(5)[None])
    step = tf.function(layer.step, reduce_retracing=True)
    for run in (layer.step, step):
        cache = layer.initial_cache(2, 3, max_length)
        for position in range(5):
            rows, mask = x[:, :, position].reshape(6, 8), cache_mask(max_length, position)
            outputs, cache = run(rows, (2, 3), tf.constant(position), cache, mask)
            assert_close(outputs, expected.numpy()[:, position])
        assert cache["keys"].shape == (2, 3, 2, max_length or 5, 4)
    if max_length:
        np.testing.assert_array_equal(cache["keys"][..., 5:, :], 0.0)


@pytest.mark.parametrize("kind", [CrossAttention, SelfAttention])
@pytest.mark.parametrize("heads", [3, 0, -2])
def test_heads_that_do_not_divide_the_width(kind, heads):
    message = rf"num_heads: expected a divisor of units \(8\), got {heads}"
    with pytest.raises(ValueError, match=message):
        kind(8, heads)


def test_dropout_of_weights_in_training_only():
    x, memory = normal(3, 5, 8), normal(3, 5, 6)
    layer, cross = make_self(dropout=0.5), make_cross(dropout=0.5)
    projected = cross.project(memory)
    for run in (lambda **k: layer(x, **k)[0], lambda **k: cross(x, *projected, **k)[0]):
        assert_close(run(), run(training=False), 0)
        assert np.abs(run(training=True) - run()).max() > 1e-3


def test_returned_weights_are_those_before_dropout():
    layer, x = make_self(dropout=0.5), normal(3, 5, 8)
    assert_close(layer(x, training=True)[1], layer(x)[1], 1e-6)


@pytest.mark.parametrize("make", [make_cross, make_self])
def test_configuration_round_trip(make):
    config = make().get_config()
    assert type(make()).from_config(config).get_config() == config
