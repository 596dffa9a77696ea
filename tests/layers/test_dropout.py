"""Dropout: rate, mean and seeds."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rate_and_scale(rate, dtype):
    layer = Dropout(rate, seed=1, dtype=dtype)
    outputs = layer(tf.ones([301, 1001], dtype), training=True).numpy().astype("float32")
    np.testing.assert_allclose(np.unique(outputs), [0.0, 1 / (1 - rate)], rtol=4e-3)
    assert np.mean(outputs == 0) == pytest.approx(rate, abs=0.003)
    both = (outputs[1:] == 0) & (outputs[:-1] == 0)
    assert both.mean() == pytest.approx(rate**2, abs=0.003)  # neighbours are independent


def test_random_in_training_only():
    layer, x = Dropout(0.5, seed=1), tf.ones([7, 9])
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)
    assert layer(tf.zeros([0, 3]), training=True).shape == (0, 3)
    again = Dropout.from_config(layer.get_config())
    np.testing.assert_array_equal(Dropout(0.5, seed=1)(x, training=True), again(x, training=True))
