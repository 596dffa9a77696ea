"""`Linear` and `NormalizedLinear` against `keras.layers.Dense` and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.dense import Linear, NormalizedLinear, wide_product
from tests.references import assert_close, linear, normal, randomise, run_both


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 1, 3, 5), (0, 3, 5), (2, 0, 5)])
def test_product_over_the_last_axis(shape):
    layer = Linear(4)
    layer.build((None, 5))
    randomise(layer)
    x = normal(*shape)
    outputs = run_both(layer, x)
    assert outputs.shape == (*shape[:-1], 4)
    assert_close(outputs, linear(layer, x))


def test_same_weights_and_options_as_dense():
    options = {"units": 4, "activation": "tanh", "use_bias": False}
    layer, dense = Linear(**options), keras.layers.Dense(**options)
    x = normal(2, 3, 5)
    layer.build(x.shape)
    dense.build(x.shape)
    dense.set_weights(layer.get_weights())
    assert_close(layer(x), dense(x), 1e-6)
    assert Linear.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (0, 3, 5)])
def test_normalized_weights(shape, use_bias):
    layer = NormalizedLinear(4, use_bias=use_bias, activation="tanh")
    layer.build((None, 5))
    randomise(layer)
    x = normal(*shape)
    expected = np.tanh(linear(layer, x))
    assert_close(run_both(layer, x), expected)
    assert_close(run_both(lambda x: layer(x, scale=layer.scale()[None]), x), expected)
    assert NormalizedLinear.from_config(layer.get_config()).get_config() == layer.get_config()


def test_normalized_weights_start_as_those_of_linear():
    plain, layer = Linear(4), NormalizedLinear(4)
    plain.build((None, 5))
    layer.build((None, 5))
    layer.kernel.assign(plain.kernel)
    layer.gain.assign(np.linalg.norm(plain.kernel.numpy(), axis=0))
    fresh = NormalizedLinear(4)
    fresh.build((None, 5))
    assert_close(fresh.scale(), np.ones(4), 1e-6)
    assert_close(layer(normal(3, 5)), plain(normal(3, 5)), 1e-6)


def test_prepare_search_freezes_the_scale():
    layer, x = NormalizedLinear(4), normal(3, 5)
    layer.build((None, 5))
    randomise(layer)
    expected, frozen = linear(layer, x), layer.fix_scale()
    assert_close(run_both(layer, x), expected)
    layer.gain.assign(2 * layer.gain)
    assert_close(layer.scale(), frozen)
    assert layer.fix_scale() is frozen
    assert_close(layer(x), linear(layer, x))
    assert len(layer.weights) == 3


def test_normalized_weights_are_saved(tmp_path):
    model = keras.Sequential([keras.Input((5,)), NormalizedLinear(4)])
    randomise(model)
    model.save(tmp_path / "model.keras")
    x = normal(3, 5)
    assert_close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), 0)


def test_gradients_of_normalized_weights():
    """Salimans & Kingma 2016, equation 3, from the gradient with respect to W."""
    layer, x, up = NormalizedLinear(4), normal(3, 5), normal(3, 4, seed=1)
    layer.build((None, 5))
    randomise(layer)
    v, g = layer.kernel.numpy().astype("float64"), layer.gain.numpy().astype("float64")
    lengths, to_w = np.linalg.norm(v, axis=0), x.astype("float64").T @ up
    to_g = (to_w * v).sum(0) / lengths
    to_v = g / lengths * to_w - g * to_g / lengths**2 * v
    for has_scale in (False, True):
        with tf.GradientTape() as tape:
            outputs = layer(x, scale=layer.scale()[None]) if has_scale else layer(x)
            total = tf.reduce_sum(outputs * up)
        gradients = tape.gradient(total, [layer.kernel, layer.gain])
        for gradient, expected in zip(gradients, (to_v, to_g), strict=True):
            assert_close(gradient, expected, 1e-4)


def test_static_shape_with_unknown_sizes():
    layer = Linear(4)
    concrete = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 7, 5]))
    assert concrete.structured_outputs.shape.as_list() == [None, 7, 4]


def test_in_a_functional_model():
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, Linear(4)(inputs))
    assert model.output_shape == (None, 3, 4)
    assert_close(model(normal(2, 3, 5)), linear(model.layers[1], normal(2, 3, 5)))


def test_product_in_half_precision():
    assert Linear(4, dtype="mixed_bfloat16")(normal(2, 3, 5)).dtype == tf.bfloat16


def test_unknown_width():
    with pytest.raises(ValueError, match="must be fully-defined"):
        Linear(4).build((None, None))


@pytest.mark.parametrize("transposed", [True, False])
def test_wide_product_and_its_gradients(transposed):
    x, weights, upstream = normal(2, 3, 4), normal(4, 7, seed=1), normal(2, 3, 7, seed=2)
    kernel, bias = weights.T if transposed else weights, normal(7, seed=3)
    for dtype, tolerance in ((tf.float32, 1e-5), (tf.bfloat16, 5e-2)):
        arguments = [tf.constant(x), tf.constant(kernel), tf.constant(bias)]
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            logits = wide_product(*arguments, transposed, dtype)
        assert logits.dtype == tf.float32
        assert_close(logits, x @ weights + bias)  # exact, whatever the dtype of the gradients
        to_x, to_weights, to_bias = tape.gradient(logits, arguments, upstream)
        np.testing.assert_allclose(to_bias, upstream.sum((0, 1)), atol=1e-5)
        expected = np.einsum("btd,btv->dv", x, upstream)
        np.testing.assert_allclose(to_x, upstream @ weights.T, atol=tolerance)
        np.testing.assert_allclose(
            to_weights, expected.T if transposed else expected, atol=tolerance
        )
