"""Feed-forward block against the paper's formula."""

import numpy as np

from keras_s2s.layers.feed_forward import FeedForward
from tests.references import (
    assert_close,
    linear,
    normal,
    randomise,
    run_both,
)


def test_feed_forward():
    layer = FeedForward(4, 6)
    layer.build((None, 4))
    randomise(layer)
    x = normal(2, 3, 4)
    expected = linear(layer.outer, np.maximum(linear(layer.inner, x), 0))
    assert_close(run_both(layer, x), expected)


def test_feed_forward_with_another_activation():
    layer, x = FeedForward(4, 6, activation="tanh"), normal(2, 3, 4)
    layer.build((None, 4))
    assert_close(layer(x), linear(layer.outer, np.tanh(linear(layer.inner, x))))
    assert FeedForward.from_config(layer.get_config()).get_config() == layer.get_config()


def test_dropout_after_the_activation():
    layer = FeedForward(4, 64, dropout=0.5)
    x = normal(2, 4)
    assert_close(layer(x), layer(x, training=False), 0)
    assert np.abs(layer(x, training=True) - layer(x)).max() > 1e-3
