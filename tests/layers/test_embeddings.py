"""Embeddings and positions against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.positions import (
    SINUSOIDAL_KINDS,
    LearnedPositions,
    add_positions,
    sinusoidal_positions,
)
from keras_s2s.layers.token_embedding import TokenEmbedding
from tests import references
from tests.references import assert_close, randomise, run_both


def table(size=6, units=4, **options):
    layer = TokenEmbedding(size, units, **options)
    layer.build()
    return randomise(layer)


@pytest.mark.parametrize("kind", SINUSOIDAL_KINDS)
@pytest.mark.parametrize("units", [2, 4, 8])
def test_sinusoidal_positions(units, kind):
    positions = [0, 1, 2, 77, 300]
    signal = run_both(lambda p: sinusoidal_positions(p, units, kind), tf.constant(positions))
    assert signal.dtype == np.float32
    assert_close(signal, references.sinusoids(positions, units, kind))


def test_vectors_are_placed_in_their_own_type():
    x = tf.cast(tf.ones([2, 3, 4]), tf.bfloat16)
    for scaled, scale in ((True, 2.0), (False, 1.0)):
        placed = add_positions(x, tf.range(3), "vaswani", scaled)
        assert placed.dtype == tf.bfloat16
        expected = scale + references.sinusoids(range(3), 4, "vaswani")
        np.testing.assert_allclose(tf.cast(placed[0], tf.float32), expected, atol=0.02)


def test_positions_need_an_even_width():
    with pytest.raises(ValueError, match="units: expected an even width .*, came 5"):
        sinusoidal_positions(tf.range(3), 5)


def test_a_vector_for_every_id():
    layer, ids = table(), tf.constant([[0, 5], [2, 3], [2, 0]])
    vectors = run_both(layer, ids)
    np.testing.assert_array_equal(vectors, layer.table.numpy()[ids])
    np.testing.assert_array_equal(layer.embed(ids, {}), vectors)


@pytest.mark.parametrize("unknown", [1, 4])
def test_ids_beyond_the_vocabulary_read_as_unknown(unknown):
    layer = table(unknown=unknown)
    for row in run_both(layer, tf.constant([6, 1000, -1])):
        np.testing.assert_array_equal(row, layer.table[unknown])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_float32_whatever_the_policy(policy):
    layer = TokenEmbedding(6, 4, dtype=policy)
    assert layer(tf.constant([[1, 2]])).dtype == tf.float32
    assert layer.dtype_policy.name == "float32"


def test_no_ids_give_no_vectors():
    assert table()(tf.zeros([0, 3], tf.int32)).shape == (0, 3, 4)


def test_configuration_round_trip():
    config = table(unknown=4).get_config()
    assert TokenEmbedding.from_config(config).get_config() == config


@pytest.mark.parametrize("sizes", [(0, 4), (6, 0), (6, "4")])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match="(vocabulary_size|units): expected a positive integer"):
        TokenEmbedding(*sizes)


def test_unknown_must_be_in_the_vocabulary():
    with pytest.raises(ValueError, match="unknown: expected an id of 0 to 5, came 6"):
        TokenEmbedding(6, 4, unknown=6)


def test_learned_positions():
    table = LearnedPositions(4, 3, dtype="mixed_bfloat16")
    table.build()
    rows = table.get_weights()[0]
    assert rows.shape == (3, 4)
    given = table(tf.constant([2, 0, 7]))
    np.testing.assert_array_equal(given, rows[[2, 0, 2]])  # the last stands for all beyond
    assert given.dtype == tf.float32
    assert LearnedPositions.from_config(table.get_config()).get_config() == table.get_config()
    x = np.ones((2, 3, 4), "float32")
    np.testing.assert_allclose(add_positions(x, tf.range(3), "learned", True, table)[1], 2 + rows)
    np.testing.assert_allclose(add_positions(x, tf.range(3), "learned", False, table)[1], 1 + rows)
    for kind in ("none", "rotary"):
        np.testing.assert_array_equal(add_positions(x, tf.range(3), kind, False), x)


# The target of a pointer network


def pointers(units=4, memory_units=None):
    layer = PointerEmbedding(units, memory_units)
    layer.build()
    return randomise(layer)


def test_pointers_read_the_memory():
    layer = pointers()
    values = references.normal(2, 3, 4)
    mask = tf.constant([[True, True, True], [True, False, False]])
    context = {"memory": {"values": tf.constant(values)}, "source": {"mask": mask}}
    ids = tf.constant([[2, 4, 6], [3, 4, 5]])
    given = run_both(lambda ids: layer.embed(ids, context), ids)
    table = layer.table.numpy()
    expected = [[table[2], values[0, 0], values[0, 2]], [table[3], values[1, 0], table[1]]]
    assert_close(given, expected)  # a place that is padding reads as unknown
    beyond = layer.embed(tf.constant([[7, -1], [99, 0]]), context)
    assert_close(beyond.numpy(), [[table[1], table[1]], [table[1], table[0]]])


def test_pointers_into_a_memory_of_another_width():
    layer, values = pointers(4, 6), references.normal(1, 2, 6)
    mask = tf.ones([1, 2], tf.bool)
    context = {"memory": {"values": tf.constant(values)}, "source": {"mask": mask}}
    given = layer.embed(tf.constant([[5]]), context)
    assert_close(given.numpy()[0, 0], references.linear(layer.projection, values[0, 1]))
    config = layer.get_config()
    assert PointerEmbedding.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="context: expected the memory .* came none"):
        layer.embed(tf.constant([[5]]))
    with pytest.raises(ValueError, match="memory_units: expected a positive integer, came 0"):
        PointerEmbedding(4, 0)
