"""Attention layers of recurrent decoders run position by position, for the tests."""

import numpy as np
import tensorflow as tf

from keras_s2s.encoders import Memory
from tests.references import (
    assert_close,
    normal,
    randomise,
    right_padded,
    softmax,
)

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty

K, POSITIONS, QUERY, WIDTH = 2, 4, 4, 6


def build(layer, query=QUERY, width=WIDTH):
    layer.build((None, None, query), None, (None, None, width))
    return randomise(layer)


def run_steps(layer, width=WIDTH, query=QUERY, training=False, policy="float32"):
    """Runs a layer with K hypotheses at POSITIONS positions.

    Returns queries, memory, contexts [P, B, K, D] and weights [P, B, A, K, M].
    """
    values = tf.cast(normal(3, 5, width, seed=1), layer.compute_dtype)
    memory = Memory(values, tf.constant(MASK), tf.constant(normal(3, width, seed=2)))
    tensors = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
    state = tf.nest.map_structure(
        lambda x: tf.reshape(x, [3 * K, -1]), layer.initial_state(tensors, K)
    )
    queries = normal(POSITIONS, 3, K, query, seed=3)
    attend = tf.function(lambda q, s: layer.attend(q, (3, K), tensors, s, training))
    contexts, weights = [], []
    for position in range(POSITIONS):
        rows = tf.cast(queries[position].reshape(3 * K, query), layer.compute_dtype)
        context, step_weights, state = attend(rows, state)
        contexts.append(np.array(context, "float32").reshape(3, K, -1))
        weights.append(step_weights.numpy())
    return queries, memory, np.array(contexts), np.array(weights)


def check(layer, formula, queries, memory, contexts, weights):
    """Compares with `formula(queries [P, D], values [M, D], mask)` -> contexts, weights [P, M]."""
    for b, k in np.ndindex(3, K):
        expected = formula(queries[:, b, k], memory.values[b].numpy(), MASK[b])
        assert_close((contexts[:, b, k], weights[:, b, 0, k]), expected)
    assert not weights[:, 2].any()


def softmax_formula(score):
    """A formula whose weights are the softmax of `score(query, value)`."""

    def formula(queries, values, mask):
        weights = [softmax(np.array([score(q, v) for v in values]), mask) for q in queries]
        return np.array(weights) @ values, np.array(weights)

    return formula
