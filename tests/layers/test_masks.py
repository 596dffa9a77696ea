"""Masks against explicit values."""

import numpy as np
import tensorflow as tf

from keras_s2s.layers import masks
from tests.references import run_both


def test_from_lengths_marks_the_first_positions():
    mask = run_both(masks.from_lengths, tf.constant([3, 0, 2]))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, [[1, 1, 1], [0, 0, 0], [1, 1, 0]])


def test_from_lengths_pads_and_cuts_to_a_size():
    np.testing.assert_array_equal(masks.from_lengths([1, 3], 2), [[1, 0], [1, 1]])
    np.testing.assert_array_equal(masks.from_lengths([1, 0], 3), [[1, 0, 0], [0, 0, 0]])
    assert masks.from_lengths(tf.zeros([0], tf.int32), 4).shape == (0, 4)


def test_without_last_removes_a_token_from_every_row():
    mask = run_both(masks.without_last, masks.from_lengths([3, 0, 1, 4], 4))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, masks.from_lengths([2, 0, 0, 3], 4))
    assert masks.without_last(tf.zeros([2, 0], tf.bool)).shape == (2, 0)


def test_causal_includes_the_position_and_the_previous_ones():
    mask = run_both(masks.causal, tf.constant(4))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, np.tril(np.ones((4, 4))))
    assert masks.causal(0).shape == (0, 0)
