"""Max-margin loss and corrupted targets against the paper's formula."""

import keras
import numpy as np
import tensorflow as tf

from keras_s2s import losses
from tests.losses.batches import (
    LENGTHS,
    WEIGHTS,
    T,
    V,
    Y,
    evaluate,
)
from tests.references import assert_close, log_softmax, normal, right_padded, run_both


def test_omit_words():
    target = np.concatenate([np.full((3, 1), 2), Y[:, :-1]], 1).astype("int32")
    y = Y * WEIGHTS.astype("int32")
    result = run_both(lambda *args: losses.omit_words(*args, places=[1, 0, 0]), target, y, WEIGHTS)
    for row, place in ((0, 1), (1, 0)):
        length = LENGTHS[row] - 1
        expected = np.delete(y[row], place)[:length]
        np.testing.assert_array_equal(result[1][row, :length], expected)
        np.testing.assert_array_equal(result[0][row, :length], [2, *expected[:-1]])
    # no token of a row that has only the end token can be left out
    np.testing.assert_array_equal(result[2], [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


def test_every_token_but_the_end_can_be_omitted():
    y = tf.tile([[4, 5, 6, 3, 0]], [200, 1])
    weights = tf.cast(y > 0, tf.float32)
    keras.utils.set_random_seed(1)
    _, result, left = losses.omit_words(y, y, weights)
    rows = {tuple(row) for row in tf.where(left > 0, result, 0).numpy().tolist()}
    assert rows == {(5, 6, 3, 0, 0), (4, 6, 3, 0, 0), (4, 5, 3, 0, 0)}


def test_max_margin():
    one, two, eta, expected = normal(3, T, V), normal(3, T, V, seed=1), 0.7, 0.0
    shifted = np.roll(Y, 1, 1)
    left = np.where(right_padded([3, 1, 0], T), 1.0, 0.0).astype("float32")
    for b in (0, 1):
        target = sum(log_softmax(one)[b, t, Y[b, t]] for t in range(LENGTHS[b]))
        corrupted_log_prob = sum(
            log_softmax(two)[b, t, shifted[b, t]] for t in range(LENGTHS[b] - 1)
        )
        expected += max(0.0, corrupted_log_prob + eta - target)
    corrupted = {"logits": two, "y": shifted, "weights": left}
    assert_close(evaluate(losses.max_margin(eta), logits=one, corrupted=corrupted), (expected, 2.0))
    assert expected > 0
