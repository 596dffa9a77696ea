"""`Linear` against `keras.layers.Dense` and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.linear import Linear, check_sizes
from tests.references import assert_close, linear, normal, randomise, run_both


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 1, 3, 5), (0, 3, 5), (2, 0, 5)])
def test_product_over_the_last_axis_whatever_the_others(shape):
    layer = Linear(4)
    layer.build((None, 5))
    randomise(layer)
    x = normal(*shape)
    outputs = run_both(layer, x)
    assert outputs.shape == (*shape[:-1], 4)
    assert_close(outputs, linear(layer, x))


def test_same_weights_and_options_as_dense():
    options = {"units": 4, "activation": "tanh", "use_bias": False}
    ours, theirs = Linear(**options), keras.layers.Dense(**options)
    x = normal(2, 3, 5)
    ours.build(x.shape)
    theirs.build(x.shape)
    theirs.set_weights(ours.get_weights())
    assert_close(ours(x), theirs(x), 1e-6)
    assert Linear.from_config(ours.get_config()).get_config() == ours.get_config()


def test_static_shape_survives_unknown_sizes():
    layer = Linear(4)
    concrete = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 7, 5]))
    assert concrete.structured_outputs.shape.as_list() == [None, 7, 4]


def test_stands_in_a_functional_model():
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, Linear(4)(inputs))
    assert model.output_shape == (None, 3, 4)
    assert_close(model(normal(2, 3, 5)), linear(model.layers[1], normal(2, 3, 5)))


def test_product_in_half_precision():
    assert Linear(4, dtype="mixed_bfloat16")(normal(2, 3, 5)).dtype == tf.bfloat16


@pytest.mark.parametrize("value", [0, -1, 2.0, "8", None, True])
def test_sizes_that_are_no_positive_integers(value):
    with pytest.raises(ValueError, match=f"width: expected a positive integer, came {value!r}"):
        check_sizes(units=3, width=value)


def test_sizes_may_be_numpy_integers():
    check_sizes(units=np.int64(3))


def test_unknown_width_is_refused():
    with pytest.raises(ValueError, match="must be fully-defined"):
        Linear(4).build((None, None))
