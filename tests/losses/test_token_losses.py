"""Cross-entropy against the explicit smoothed distribution."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import losses
from tests import references
from tests.references import assert_close, normal, right_padded, run_both

V, COPIES = 6, 3
WEIGHTS = right_padded([4, 2, 0], 4).astype("float32")


def batch(columns=V):
    y = np.random.default_rng(1).integers(0, columns, (3, 4)).astype("int32")
    return y, normal(3, 4, columns) * 3


def test_token_log_probs():
    y, logits = batch()
    expected = np.take_along_axis(references.log_softmax(logits), y[..., None], 2)[..., 0]
    assert_close(run_both(losses.token_log_probs, logits, y), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_cross_entropy_against_the_smoothed_distribution(smoothing):
    y, logits = batch()
    objective = losses.cross_entropy(smoothing, V)
    total, count = run_both(lambda y, z, w: objective(None, y, z, w), y, logits, WEIGHTS)
    expected = references.smoothed_cross_entropy(logits, y, WEIGHTS, smoothing, V)
    assert_close((total, count), (expected, 6.0))


def test_copies_get_no_smoothing_mass():
    y, logits = batch(V + COPIES)
    y[0, 0] = V + 1  # a copied token gets 1 - e
    total, _ = losses.cross_entropy(0.2, V)(None, y, logits, WEIGHTS)
    assert_close(total, references.smoothed_cross_entropy(logits, y, WEIGHTS, 0.2, V))
    spread, _ = losses.cross_entropy(0.2)(None, y, logits, WEIGHTS)
    all_columns = references.smoothed_cross_entropy(logits, y, WEIGHTS, 0.2, V + COPIES)
    assert_close(spread, all_columns)
    assert abs(total - spread) > 1e-2


def test_gradient_is_the_difference_of_the_distributions():
    y, logits = batch(V + COPIES)
    with tf.GradientTape() as tape:
        variable = tf.Variable(logits)
        total, _ = losses.cross_entropy(0.2, V)(None, y, variable, WEIGHTS)
    smoothed = np.zeros_like(logits)
    smoothed[..., :V] = 0.2 / V
    np.put_along_axis(
        smoothed, y[..., None], np.take_along_axis(smoothed, y[..., None], 2) + 0.8, 2
    )
    expected = (np.exp(references.log_softmax(logits)) - smoothed) * WEIGHTS[..., None]
    assert_close(tape.gradient(total, variable), expected)


def test_fractional_weights():
    y, logits = batch()
    weights = WEIGHTS * [[0.5], [2.0], [3.0]]
    total, count = losses.cross_entropy(0.1)(None, y, logits, weights)
    expected = references.smoothed_cross_entropy(logits, y, weights, 0.1, V)
    assert_close((total, count), (expected, 0.5 * 4 + 2 * 2))


def test_half_precision_logits():
    y, logits = batch()
    total, count = losses.cross_entropy(0.1)(None, y, tf.cast(logits, tf.bfloat16), WEIGHTS)
    assert total.dtype == count.dtype == tf.float32


def test_likelihood_is_the_weighted_sum():
    log_probs = -np.abs(normal(3, 4)).astype("float32")
    total, count = losses.likelihood()(None, None, {"target_log_probs": log_probs}, WEIGHTS)
    assert_close((total, count), (-(log_probs * WEIGHTS).sum(), 6.0))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2])
def test_smoothing_out_of_range(smoothing):
    message = f"label_smoothing: expected 0 <= e < 1, got {smoothing}"
    with pytest.raises(ValueError, match=message):
        losses.cross_entropy(smoothing)


@pytest.mark.parametrize("size", [None, 7, 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_custom_gradient_equals_automatic_differentiation(smoothing, size):
    logits, ids = tf.constant(normal(2, 3, 7) * 9), tf.constant([[0, 6, 3], [5, 5, 1]])
    upstream = tf.constant(normal(2, 3, seed=1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        result = losses.smoothed_cross_entropy(logits, ids, smoothing, size)
        log_probs = tf.gather(tf.nn.log_softmax(logits), ids, batch_dims=2)
        picked = tf.gather(logits, ids, batch_dims=2)
        plain = -log_probs + smoothing * (picked - tf.reduce_mean(logits[..., :size], -1))
    assert_close(result, plain)
    assert_close(tape.gradient(result, logits, upstream), tape.gradient(plain, logits, upstream))
