"""Attention against the papers' formulas, and one position at a time against the whole."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import attention
from keras_s2s.attention import AdditiveAttention, CrossAttention, SelfAttention
from keras_s2s.layers import masks
from tests import references
from tests.references import assert_close, cache_mask, normal, randomise, right_padded, run_both

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty
EMPTY = 2


def additive():
    layer = AdditiveAttention(6)
    layer.build((None, None, 4), None, (None, None, 7))
    return randomise(layer)


def cross(**options):
    layer = CrossAttention(8, 2, **options)
    layer.build((None, None, 8), (None, None, 6))
    return randomise(layer)


def over_itself(heads=2, **options):
    layer = SelfAttention(8, heads, **options)
    layer.build((None, None, 8))
    return randomise(layer)


def test_masked_softmax():
    scores = normal(3, 5) * 30
    weights = run_both(attention.masked_softmax, scores, MASK)
    assert_close(weights, [references.softmax(s, m) for s, m in zip(scores, MASK, strict=True)])
    np.testing.assert_array_equal(weights[~MASK], 0.0)
    assert_close(attention.masked_softmax(scores), [references.softmax(s) for s in scores])


def test_masked_softmax_is_float32_in_half_precision():
    weights = attention.masked_softmax(tf.cast(normal(3, 5), tf.bfloat16), MASK)
    assert weights.dtype == tf.float32
    assert_close(tf.reduce_sum(weights, 1), [1, 1, 0], 1e-6)


def test_no_gradient_is_lost_on_an_empty_row():
    scores = tf.Variable(normal(3, 5))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(attention.masked_softmax(scores, MASK) * normal(3, 5, seed=1))
    gradient = tape.gradient(loss, scores).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[EMPTY], 0.0)
    assert np.abs(gradient[:EMPTY]).max() > 0


def test_additive_scores():
    query, keys = normal(2, 3, 4), normal(2, 5, 4, seed=1)
    hidden = run_both(attention.additive_scores, query, keys)
    for b, q, m in np.ndindex(2, 3, 5):
        assert_close(hidden[b, q, m], np.tanh(query[b, q] + keys[b, m]))


def test_additive_attention():
    layer = additive()
    query, memory = normal(3, 2, 4), normal(3, 5, 7, seed=1)
    seen, weights = run_both(lambda q, v: layer(q, layer.project(v), v, mask=MASK), query, memory)
    for b, q in np.ndindex(3, 2):
        expected = references.additive_attention(layer, query[b, q], memory[b], MASK[b])
        assert_close((seen[b, q], weights[b, q]), expected)
    np.testing.assert_array_equal(seen[EMPTY], 0.0)


def test_additive_attention_without_a_mask_sees_all():
    layer = additive()
    query, memory = normal(3, 2, 4), normal(3, 5, 7, seed=1)
    keys = layer.project(memory)
    assert_close(layer(query, keys, memory), layer(query, keys, memory, mask=MASK | True))


def test_dot_product_attention():
    query, keys, values = (normal(2, n, 4, seed=n) for n in (3, 5, 6))
    mask = normal(2, 3, 5) > 0
    keys, values = keys, values[:, :5]
    seen, weights = run_both(attention.dot_product_attention, query, keys, values, mask)
    for b, q in np.ndindex(2, 3):
        expected = references.softmax(keys[b] @ query[b, q], mask[b, q])
        assert_close((seen[b, q], weights[b, q]), (expected @ values[b], expected))


def test_heads_split_and_merge():
    x = normal(2, 3, 8)
    first, second = attention.split_heads(tf.constant(np.tile(x, 2)), 2, 4)
    assert first.shape == (2, 4, 3, 2)
    np.testing.assert_array_equal(first[1, 2, 0], x[1, 0, 4:6])
    np.testing.assert_array_equal(attention.merge_heads(second), x)


def test_cross_attention():
    layer = cross()
    query, memory = normal(3, 4, 8), normal(3, 5, 6, seed=1)
    outputs, weights = run_both(lambda q, m: layer(q, *layer.project(m), mask=MASK), query, memory)
    for b in range(3):
        expected = references.cross_attention(layer, query[b], memory[b], MASK[b])
        assert_close((outputs[b], weights[b]), expected)
    np.testing.assert_array_equal(weights[EMPTY], 0.0)
    assert_close(outputs[EMPTY], np.tile(layer.output_projection.bias, (4, 1)), 1e-6)
    seen = (*layer.project(memory), MASK)
    flat, same = run_both(lambda q: layer.step(q, (3, 4), *seen), query.reshape(12, 8))
    assert_close((flat.reshape(3, 4, 8), same), (outputs, weights))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_self_attention(heads, causal):
    layer, x = over_itself(heads), normal(3, 5, 8)
    mask = masks.causal(5).numpy()[None] if causal else MASK[:, None]
    outputs, weights = run_both(lambda x: layer(x, mask=mask), x)
    mask = np.broadcast_to(mask, (3, 5, 5))
    for b in range(3):
        assert_close((outputs[b], weights[b]), references.self_attention(layer, x[b], mask[b]))


def test_self_attention_without_a_mask_sees_all():
    layer, x = over_itself(), normal(3, 5, 8)
    assert_close(layer(x), layer(x, mask=tf.ones([3, 5, 5], tf.bool)))


@pytest.mark.parametrize("max_length", [None, 5, 9])
def test_steps_over_a_cache_equal_the_whole(max_length):
    layer, x = over_itself(), normal(2, 3, 5, 8)  # [B, K, T, D]
    whole, _ = layer(x.reshape(6, 5, 8), mask=masks.causal(5)[None])
    step = tf.function(layer.step, reduce_retracing=True)
    for run in (layer.step, step):
        cache = layer.initial_cache(2, 3, max_length)
        for position in range(5):
            flat, mask = x[:, :, position].reshape(6, 8), cache_mask(max_length, position)
            outputs, cache = run(flat, (2, 3), tf.constant(position), cache, mask)
            assert_close(outputs, whole.numpy()[:, position])
        assert cache["keys"].shape == (2, 3, 2, max_length or 5, 4)
    if max_length:
        np.testing.assert_array_equal(cache["keys"][..., 5:, :], 0.0)


@pytest.mark.parametrize("kind", [CrossAttention, SelfAttention])
@pytest.mark.parametrize("heads", [3, 0, -2])
def test_heads_that_do_not_divide_the_width(kind, heads):
    message = rf"num_heads: expected a divisor of units \(8\), came {heads}"
    with pytest.raises(ValueError, match=message):
        kind(8, heads)


def test_dropout_of_weights_in_training_alone():
    x, memory = normal(3, 5, 8), normal(3, 5, 6)
    layer, other = over_itself(dropout=0.5), cross(dropout=0.5)
    keys = other.project(memory)
    for run in (lambda **k: layer(x, **k)[0], lambda **k: other(x, *keys, **k)[0]):
        assert_close(run(), run(training=False), 0)
        assert np.abs(run(training=True) - run()).max() > 1e-3


def test_weights_given_are_those_before_dropout():
    layer, x = over_itself(dropout=0.5), normal(3, 5, 8)
    assert_close(layer(x, training=True)[1], layer(x)[1], 1e-6)


@pytest.mark.parametrize("make", [additive, cross, over_itself])
def test_configuration_round_trip(make):
    config = make().get_config()
    assert type(make()).from_config(config).get_config() == config
