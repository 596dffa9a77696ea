"""Scheduled sampling against the paper's formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import losses
from tests.losses.batches import (
    T,
    V,
    Y,
)
from tests.references import assert_close, run_both


@pytest.mark.parametrize(
    ("schedule", "k", "floor", "expected"),
    [
        ("constant", None, 0.3, lambda i: 0.3),
        ("linear", 100.0, 0.25, lambda i: max(0.25, 1 - i / 100)),
        ("exponential", 0.99, 0.0, lambda i: 0.99**i),
        ("inverse_sigmoid", 20.0, 0.0, lambda i: 20 / (20 + np.exp(i / 20))),
    ],
)
def test_teacher_forcing_probability(schedule, k, floor, expected):
    for step in (0, 7, 90, 500):
        value = losses.teacher_forcing_probability(schedule, tf.constant(step, tf.int64), k, floor)
        assert_close(value, np.float32(expected(step)))
    late = losses.teacher_forcing_probability(schedule, 10**6, k, floor)
    assert np.isfinite(late)


def test_invalid_settings():
    with pytest.raises(ValueError, match="scheduled_sampling: expected one of .*, got 'cosine'"):
        losses.teacher_forcing_probability("cosine", 0, 1.0)
    with pytest.raises(ValueError, match="sampling_k: expected a number above 0 and below 1 for"):
        losses.teacher_forcing_probability("exponential", 0, 2.0)
    with pytest.raises(ValueError, match="sampling_probability: expected 0 to 1, got 1.5"):
        losses.teacher_forcing_probability("constant", 0, None, 1.5)


def test_mix_targets():
    target = np.concatenate([np.full((3, 1), 2), Y[:, :-1]], 1).astype("int32")
    logits = tf.one_hot(np.full((3, T), 6) - np.arange(T) % 2, V) * 1e4  # predicts 6, 5, 6, 5
    all_true = run_both(losses.mix_targets, target, logits, 1.0)
    np.testing.assert_array_equal(all_true, target)
    all_predicted = run_both(losses.mix_targets, target, logits, 0.0)
    np.testing.assert_array_equal(all_predicted, [[2, 6, 5, 6]] * 3)
    keras.utils.set_random_seed(1)
    mixed = losses.mix_targets(np.full((50, T), 4), tf.tile(logits[:1], [50, 1, 1]), 0.75)
    assert 0.65 < (mixed.numpy()[:, 1:] == 4).mean() < 0.85
