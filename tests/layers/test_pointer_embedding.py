"""Target embedding of a pointer network."""

import pytest
import tensorflow as tf

from keras_s2s.layers.pointer_embedding import PointerEmbedding
from tests import references
from tests.references import assert_close, randomise, run_both


def make(units=4, memory_units=None):
    layer = PointerEmbedding(units, memory_units)
    layer.build()
    return randomise(layer)


def test_pointers_are_embedded_as_the_memory():
    layer = make()
    values = references.normal(2, 3, 4)
    mask = tf.constant([[True, True, True], [True, False, False]])
    context = {"memory": {"values": tf.constant(values)}, "source": {"mask": mask}}
    ids = tf.constant([[2, 4, 6], [3, 4, 5]])
    vectors = run_both(lambda ids: layer.embed(ids, context), ids)
    table = layer.table.numpy()
    expected = [[table[2], values[0, 0], values[0, 2]], [table[3], values[1, 0], table[1]]]
    assert_close(vectors, expected)  # padding is embedded as the unknown token
    beyond = layer.embed(tf.constant([[7, -1], [99, 0]]), context)
    assert_close(beyond.numpy(), [[table[1], table[1]], [table[1], table[0]]])


def test_pointers_into_a_memory_of_another_width():
    layer, values = make(4, 6), references.normal(1, 2, 6)
    mask = tf.ones([1, 2], tf.bool)
    context = {"memory": {"values": tf.constant(values)}, "source": {"mask": mask}}
    vectors = layer.embed(tf.constant([[5]]), context)
    assert_close(vectors.numpy()[0, 0], references.linear(layer.projection, values[0, 1]))
    config = layer.get_config()
    assert PointerEmbedding.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="context: expected the memory .* got None"):
        layer.embed(tf.constant([[5]]))
    with pytest.raises(ValueError, match="memory_units: expected a positive integer, got 0"):
        PointerEmbedding(4, 0)
