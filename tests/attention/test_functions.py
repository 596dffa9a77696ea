"""Attention functions against NumPy."""

import numpy as np
import tensorflow as tf

from keras_s2s import attention
from tests import references
from tests.references import assert_close, normal, right_padded, run_both

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty

EMPTY = 2


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


def test_gradient_of_an_empty_row_is_zero():
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


def test_dot_product_attention():
    query, keys, values = (normal(2, n, 4, seed=n) for n in (3, 5, 6))
    mask = normal(2, 3, 5) > 0
    values = values[:, :5]
    context, weights = run_both(attention.dot_product_attention, query, keys, values, mask)
    for b, q in np.ndindex(2, 3):
        expected = references.softmax(keys[b] @ query[b, q], mask[b, q])
        assert_close((context[b, q], weights[b, q]), (expected @ values[b], expected))


def test_heads_split_and_merge():
    x = normal(2, 3, 8)
    first, second = attention.split_heads(tf.constant(np.tile(x, 2)), 2, 4)
    assert first.shape == (2, 4, 3, 2)
    np.testing.assert_array_equal(first[1, 2, 0], x[1, 0, 4:6])
    np.testing.assert_array_equal(attention.merge_heads(second), x)
