"""`Linear` against `keras.layers.Dense` and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear, NormalizedLinear, wide_product
from keras_s2s.layers.dropout import Dropout
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


def test_normalized_weights_begin_as_they_would_without():
    plain, layer = Linear(4), NormalizedLinear(4)
    for made in (plain, layer):
        made.build((None, 5))
    layer.kernel.assign(plain.kernel)
    layer.gain.assign(np.linalg.norm(plain.kernel.numpy(), axis=0))
    fresh = NormalizedLinear(4)
    fresh.build((None, 5))
    assert_close(fresh.scale(), np.ones(4), 1e-6)
    assert_close(layer(normal(3, 5)), plain(normal(3, 5)), 1e-6)


def test_what_normalises_final_weights_is_kept():
    layer, x = NormalizedLinear(4), normal(3, 5)
    layer.build((None, 5))
    randomise(layer)
    expected, kept = linear(layer, x), layer.fix_scale()
    assert_close(run_both(layer, x), expected)
    layer.gain.assign(2 * layer.gain)
    assert_close(layer.scale(), kept)
    assert layer.fix_scale() is kept
    assert_close(layer(x), linear(layer, x))
    assert len(layer.weights) == 3


def test_normalized_weights_are_saved(tmp_path):
    model = keras.Sequential([keras.Input((5,)), NormalizedLinear(4)])
    randomise(model)
    model.save(tmp_path / "model.keras")
    x = normal(3, 5)
    assert_close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), 0)


def test_gradients_of_normalized_weights():
    """Salimans & Kingma 2016, equation 3, from the gradient of the whole weight."""
    layer, x, up = NormalizedLinear(4), normal(3, 5), normal(3, 4, seed=1)
    layer.build((None, 5))
    randomise(layer)
    v, g = layer.kernel.numpy().astype("float64"), layer.gain.numpy().astype("float64")
    lengths, whole = np.linalg.norm(v, axis=0), x.astype("float64").T @ up
    to_g = (whole * v).sum(0) / lengths
    to_v = g / lengths * whole - g * to_g / lengths**2 * v
    for scaled in (False, True):
        with tf.GradientTape() as tape:
            outputs = layer(x, scale=layer.scale()[None]) if scaled else layer(x)
            total = tf.reduce_sum(outputs * up)
        for made, expected in zip(tape.gradient(total, [layer.kernel, layer.gain]), (to_v, to_g)):
            assert_close(made, expected, 1e-4)


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
        check_positive_integers(units=3, width=value)


def test_sizes_may_be_numpy_integers():
    check_positive_integers(units=np.int64(3))


def test_unknown_width_is_refused():
    with pytest.raises(ValueError, match="must be fully-defined"):
        Linear(4).build((None, None))


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropout_keeps_the_mean_and_its_rate(rate, dtype):
    layer = Dropout(rate, seed=1, dtype=dtype)
    outputs = layer(tf.ones([301, 1001], dtype), training=True).numpy().astype("float32")
    kept = np.unique(outputs)
    np.testing.assert_allclose(kept, [0.0, 1 / (1 - rate)], rtol=4e-3)
    assert np.mean(outputs == 0) == pytest.approx(rate, abs=0.003)
    rows = (outputs[1:] == 0) & (outputs[:-1] == 0)
    assert rows.mean() == pytest.approx(rate**2, abs=0.003)  # neighbours fall independently


def test_dropout_draws_anew_and_rests_outside_of_training():
    layer, x = Dropout(0.5, seed=1), tf.ones([7, 9])
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)
    assert layer(tf.zeros([0, 3]), training=True).shape == (0, 3)
    again = Dropout.from_config(layer.get_config())
    np.testing.assert_array_equal(Dropout(0.5, seed=1)(x, training=True), again(x, training=True))


@pytest.mark.parametrize("transposed", [True, False])
def test_wide_product_and_its_gradients(transposed):
    x, weights, upstream = normal(2, 3, 4), normal(4, 7, seed=1), normal(2, 3, 7, seed=2)
    given, bias = weights.T if transposed else weights, normal(7, seed=3)
    for dtype, tolerance in ((tf.float32, 1e-5), (tf.bfloat16, 5e-2)):
        given_to = [tf.constant(x), tf.constant(given), tf.constant(bias)]
        with tf.GradientTape() as tape:
            tape.watch(given_to)
            logits = wide_product(*given_to, transposed, dtype)
        assert logits.dtype == tf.float32
        assert_close(logits, x @ weights + bias)  # exact, whatever the gradients run in
        to_x, to_weights, to_bias = tape.gradient(logits, given_to, upstream)
        np.testing.assert_allclose(to_bias, upstream.sum((0, 1)), atol=1e-5)
        expected = np.einsum("btd,btv->dv", x, upstream)
        np.testing.assert_allclose(to_x, upstream @ weights.T, atol=tolerance)
        np.testing.assert_allclose(
            to_weights, expected.T if transposed else expected, atol=tolerance
        )
