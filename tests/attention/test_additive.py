"""Additive attention against the paper's formula."""

import numpy as np

from keras_s2s.attention import AdditiveAttention
from tests import references
from tests.references import assert_close, normal, randomise, right_padded, run_both

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty

EMPTY = 2


def make():
    layer = AdditiveAttention(6)
    layer.build((None, None, 4), None, (None, None, 7))
    return randomise(layer)


def test_additive_attention():
    layer = make()
    query, memory = normal(3, 2, 4), normal(3, 5, 7, seed=1)
    context, weights = run_both(
        lambda q, v: layer(q, layer.project(v), v, mask=MASK), query, memory
    )
    for b, q in np.ndindex(3, 2):
        expected = references.additive_attention(layer, query[b, q], memory[b], MASK[b])
        assert_close((context[b, q], weights[b, q]), expected)
    np.testing.assert_array_equal(context[EMPTY], 0.0)


def test_without_a_mask():
    layer = make()
    query, memory = normal(3, 2, 4), normal(3, 5, 7, seed=1)
    keys = layer.project(memory)
    assert_close(layer(query, keys, memory), layer(query, keys, memory, mask=MASK | True))


def test_configuration_round_trip():
    config = make().get_config()
    assert AdditiveAttention.from_config(config).get_config() == config
