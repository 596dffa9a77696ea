"""Sinusoidal and learned positions against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.positions import (
    SINUSOIDAL_KINDS,
    LearnedPositions,
    add_positions,
    sinusoidal_positions,
)
from tests import references
from tests.references import assert_close, run_both


@pytest.mark.parametrize("kind", SINUSOIDAL_KINDS)
@pytest.mark.parametrize("units", [2, 4, 8])
def test_sinusoidal_positions(units, kind):
    positions = [0, 1, 2, 77, 300]
    signal = run_both(lambda p: sinusoidal_positions(p, units, kind), tf.constant(positions))
    assert signal.dtype == np.float32
    assert_close(signal, references.sinusoids(positions, units, kind))


def test_positions_are_added_in_the_dtype_of_the_inputs():
    x = tf.cast(tf.ones([2, 3, 4]), tf.bfloat16)
    for scaled, scale in ((True, 2.0), (False, 1.0)):
        outputs = add_positions(x, tf.range(3), "vaswani", scaled)
        assert outputs.dtype == tf.bfloat16
        expected = scale + references.sinusoids(range(3), 4, "vaswani")
        np.testing.assert_allclose(tf.cast(outputs[0], tf.float32), expected, atol=0.02)


def test_sinusoids_need_an_even_width():
    with pytest.raises(ValueError, match="units: expected an even width .*, got 5"):
        sinusoidal_positions(tf.range(3), 5)


def test_learned_positions():
    table = LearnedPositions(4, 3, dtype="mixed_bfloat16")
    table.build()
    rows = table.get_weights()[0]
    assert rows.shape == (3, 4)
    vectors = table(tf.constant([2, 0, 7]))
    np.testing.assert_array_equal(vectors, rows[[2, 0, 2]])  # later positions use the last
    assert vectors.dtype == tf.float32
    assert LearnedPositions.from_config(table.get_config()).get_config() == table.get_config()
    x = np.ones((2, 3, 4), "float32")
    np.testing.assert_allclose(add_positions(x, tf.range(3), "learned", True, table)[1], 2 + rows)
    np.testing.assert_allclose(add_positions(x, tf.range(3), "learned", False, table)[1], 1 + rows)
    for kind in ("none", "rotary"):
        np.testing.assert_array_equal(add_positions(x, tf.range(3), kind, False), x)
