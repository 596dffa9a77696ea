"""Token embedding against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.token_embedding import TokenEmbedding
from tests.references import randomise, run_both


def make(size=6, units=4, **options):
    layer = TokenEmbedding(size, units, **options)
    layer.build()
    return randomise(layer)


def test_a_vector_for_every_id():
    layer, ids = make(), tf.constant([[0, 5], [2, 3], [2, 0]])
    vectors = run_both(layer, ids)
    np.testing.assert_array_equal(vectors, layer.table.numpy()[ids])
    np.testing.assert_array_equal(layer.embed(ids, {}), vectors)


@pytest.mark.parametrize("unknown", [1, 4])
def test_ids_beyond_the_vocabulary_are_unknown(unknown):
    layer = make(unknown=unknown)
    for row in run_both(layer, tf.constant([6, 1000, -1])):
        np.testing.assert_array_equal(row, layer.table[unknown])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_float32_whatever_the_policy(policy):
    layer = TokenEmbedding(6, 4, dtype=policy)
    assert layer(tf.constant([[1, 2]])).dtype == tf.float32
    assert layer.dtype_policy.name == "float32"


def test_empty_batch():
    assert make()(tf.zeros([0, 3], tf.int32)).shape == (0, 3, 4)


def test_configuration_round_trip():
    config = make(unknown=4).get_config()
    assert TokenEmbedding.from_config(config).get_config() == config


@pytest.mark.parametrize("sizes", [(0, 4), (6, 0), (6, "4")])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match="(vocabulary_size|units): expected a positive integer"):
        TokenEmbedding(*sizes)


def test_unknown_must_be_an_id_of_the_vocabulary():
    with pytest.raises(ValueError, match="unknown: expected an id of 0 to 5, got 6"):
        TokenEmbedding(6, 4, unknown=6)
