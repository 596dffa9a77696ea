"""Keras metrics over tokens against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.metrics import (
    Perplexity,
    TokenAccuracy,
)


def random_batch(seed=0, b=3, t=5, v=7):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(b, t, v)).astype("float32") * 3
    y = rng.integers(0, v, size=(b, t)).astype("int32")
    y[:, :2] = logits[:, :2].argmax(-1)  # an accuracy well above chance
    weights = (np.arange(t) < rng.integers(1, t + 1, size=(b, 1))).astype("float32")
    return y, logits, weights


def numpy_accuracy(y, logits, weights):
    picked = np.take_along_axis(logits, y[..., None], -1)[..., 0]
    return np.sum((picked == logits.max(-1)) * weights) / np.sum(weights)


def numpy_perplexity(y, logits, weights):
    logits = logits.astype("float64")
    log_z = np.log(np.sum(np.exp(logits), -1))
    losses = log_z - np.take_along_axis(logits, y[..., None], -1)[..., 0]
    return np.exp(np.sum(losses * weights) / np.sum(weights))


KERAS = [(TokenAccuracy, numpy_accuracy), (Perplexity, numpy_perplexity)]


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_over_two_batches_of_different_width(metric, reference):
    one, two = random_batch(0), random_batch(1, b=2, t=8)
    instance = metric()
    instance.update_state(*one)
    instance.update_state(*two)
    joined = [np.concatenate([_wide(a, 8), _wide(b, 8)]) for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(instance.result(), reference(*joined), rtol=1e-5)
    assert instance.result().dtype == "float32"


def _wide(array, width):
    gap = width - array.shape[1]
    return np.pad(array, [(0, 0), (0, gap)] + [(0, 0)] * (array.ndim - 2))


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_without_weights_and_after_reset(metric, reference):
    y, logits, weights = random_batch(2)
    instance = metric()
    instance.update_state(*random_batch(3))
    instance.reset_state()
    instance.update_state(y, logits)
    expected = reference(y, logits, np.ones_like(weights))
    np.testing.assert_allclose(instance.result(), expected, rtol=1e-5)


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_weigh_tokens(metric, reference):
    y, logits, weights = random_batch(4)
    weights = weights * np.float32([[0.25], [2.0], [1.0]])
    instance = metric()
    instance.update_state(y, logits, weights)
    np.testing.assert_allclose(instance.result(), reference(y, logits, weights), rtol=1e-5)


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_are_float32_under_a_mixed_policy(metric, reference):
    y, logits, weights = random_batch(5, b=40, t=50)
    half = tf.cast(logits, tf.bfloat16)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        instance = metric()
    finally:
        keras.config.set_dtype_policy("float32")
    instance.update_state(y, half, weights)
    expected = reference(y, tf.cast(half, tf.float32).numpy(), weights)
    np.testing.assert_allclose(instance.result(), expected, rtol=1e-5)
    assert instance.result().dtype == "float32"


def test_perplexity_ignores_positions_without_weight():
    y, logits, weights = random_batch(6)
    instance, infinite = Perplexity(), logits.copy()
    infinite[weights == 0] = np.inf
    instance.update_state(y, infinite, weights)
    np.testing.assert_allclose(instance.result(), numpy_perplexity(y, logits, weights), rtol=1e-5)


@pytest.mark.parametrize("metric", [TokenAccuracy, Perplexity])
def test_keras_metrics_serialization(metric):
    loaded = keras.metrics.deserialize(keras.metrics.serialize(metric(name="mine")))
    assert type(loaded) is metric
    assert loaded.name == "mine"


@pytest.mark.parametrize("metric,reference", KERAS)
def test_keras_metrics_in_compile_get_the_weights(metric, reference):
    y, logits, weights = random_batch(7)
    model = keras.Sequential([keras.layers.Activation("linear")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, weighted_metrics=[metric()])
    results = model.evaluate(logits, y, sample_weight=weights, verbose=0, return_dict=True)
    np.testing.assert_allclose(results[metric().name], reference(y, logits, weights), rtol=1e-5)
