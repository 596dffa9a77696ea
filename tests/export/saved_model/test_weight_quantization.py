"""Weights in fewer bytes: what is stored of them, and what is refused."""

import numpy as np
import pytest

from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import NotProven, export_translator
from keras_s2s.export.saved_model.weight_quantization import (
    check_drift,
    dequantize,
    measure_drift,
    quantize,
    quantized_weights,
)
from keras_s2s.export.variant import WEIGHT_TYPES
from tests.export.tiny_models import make_translator

RNG = np.random.default_rng(0)


def test_int8_is_within_half_a_step_of_every_weight():
    array = RNG.normal(size=(30, 20)).astype(np.float32)
    one = quantize(array, "int8")
    assert one.values.dtype == np.int8 and one.values.shape == array.shape
    assert np.abs(one.values.astype(int)).max() == 127
    assert (np.abs(dequantize(one) - array) <= 0.5001 * one.scale).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_int8_has_its_scale_along_the_axis_that_fits(axis):
    sizes = np.logspace(-3, 3, 20, dtype=np.float32)
    array = RNG.normal(size=(20, 20)).astype(np.float32) * np.expand_dims(sizes, 1 - axis)
    one = quantize(array, "int8")
    assert one.scale.shape == ((1, 20) if axis else (20, 1))
    np.testing.assert_allclose(one.scale, np.abs(array).max(1 - axis, keepdims=True) / 127)


def test_int8_of_an_array_of_three_dimensions_and_of_zeros():
    array = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    assert quantize(array, "int8").scale.size in (3, 5)
    np.testing.assert_array_equal(dequantize(quantize(np.zeros((2, 3), np.float32), "int8")), 0)


@pytest.mark.parametrize("kind, digits", [("float16", 11), ("bfloat16", 8)])
def test_halves_round_to_their_digits(kind, digits):
    array = RNG.normal(size=(30, 20)).astype(np.float32)
    error = np.abs(dequantize(quantize(array, kind)) - array)
    assert (error <= np.abs(array) * 2.0**-digits + 1e-7).all() and error.any()


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "int8"])
def test_a_bias_in_the_last_row_stays_to_the_bit(kind):
    array = RNG.normal(size=(5, 4)).astype(np.float32)
    array[-1] = [-1e9, 0.1, 7.0, 1e6]
    found = dequantize(quantize(array, kind, keep_last=True))
    np.testing.assert_array_equal(found[-1], array[-1])
    np.testing.assert_allclose(found[:-1], array[:-1], atol=0.03)


@pytest.fixture(scope="module")
def translator():
    return make_translator(Decoding(beam_size=2, max_length=5))


def test_a_model_has_its_own_weights_again(translator):
    before = [weight.numpy() for weight in translator.variables()]
    moved = measure_drift(translator, [("a b", "c d"), ("a", "a b c")])
    assert moved() == 0.0
    for kind, limit in WEIGHT_TYPES.items():
        with quantized_weights(translator, kind) as found:
            assert 0 < moved() < limit / 2
    with quantized_weights(translator, "int8") as found:
        changed = [weight.numpy() for weight in translator.variables()]
        assert sum(not np.array_equal(a, b) for a, b in zip(before, changed)) > len(found) / 2
    assert moved() == 0.0
    for one, other in zip(before, translator.variables(), strict=False):
        np.testing.assert_array_equal(one, other.numpy())


def test_a_weight_that_float16_cannot_hold(translator, tmp_path):
    weight = translator.model.weights[0]
    before = weight.numpy()
    weight.assign(before * 1e9)
    try:
        with pytest.raises(NotProven, match="weight .*: not finite as float16"):
            export_translator(translator, tmp_path, weights="float16")
    finally:
        weight.assign(before)
    assert list(tmp_path.iterdir()) == []


def test_log_probabilities_that_moved_too_far():
    check_drift("int8", 0.1, 0.1)
    for value in (0.11, float("nan")):
        with pytest.raises(NotProven, match="int8 weights: expected .* by 0.1 at most .*, came"):
            check_drift("int8", value, 0.1)


def test_another_kind_of_weights(translator, tmp_path):
    with pytest.raises(UserError, match="weights: expected one of float16, .*, came 'int4'"):
        export_translator(translator, tmp_path, weights="int4")
