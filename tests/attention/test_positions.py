"""Positions inside self-attention against the papers' formulas, over sequences and by steps."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import SelfAttention
from keras_s2s.attention.positions import (
    ATTENTION_POSITIONS,
    AlibiPosition,
    BucketPosition,
    RotaryPosition,
    alibi_slopes,
    distance_buckets,
    make_position,
)
from keras_s2s.layers import masks
from tests.references import assert_close, cache_mask, linear, normal, randomise, run_both, softmax

OPTIONS = {
    "relative": {"max_distance": 2},
    "t5": {"num_buckets": 6, "max_distance": 4},
    "rotary": {"base": 50},
    "alibi": {},
}
KINDS = pytest.mark.parametrize("kind", list(OPTIONS))
CAUSAL = pytest.mark.parametrize("causal", [False, True])
HEADS, SIZE, LENGTH = 2, 4, 7


def make(kind, causal, policy="float32", **options):
    position = make_position(kind, HEADS, SIZE, causal, policy, **OPTIONS[kind])
    layer = SelfAttention(HEADS * SIZE, HEADS, position=position, dtype=policy, **options)
    layer.build((None, None, HEADS * SIZE))
    return randomise(layer)


def test_values_of_positions_get_the_dropout_of_the_weights():
    layer = make("relative", False, dropout=0.5)
    kernel, units = layer.input_projection.kernel, HEADS * SIZE
    kernel.assign(tf.pad(kernel[:, : 2 * units], [[0, 0], [0, units]]))  # no values but positions'
    layer.input_projection.bias.assign(tf.zeros([3 * units]))
    layer.output_projection.kernel.assign(tf.eye(units))
    layer.output_projection.bias.assign(tf.zeros([units]))
    # The weight of a single key is 1; dropout makes it 0 or 2.
    outputs, _ = layer(tf.ones([32, 1, units]), training=True)
    vector = layer.position.value_table[layer.position.max_distance]
    factors = tf.reshape(outputs, [-1, SIZE]) / vector
    assert_close(factors, tf.round(factors))
    assert set(np.unique(tf.round(factors))) == {0, 2}


def bucket(distance, causal, buckets, furthest):
    """The paper's bucket of key position minus query position, in float64."""
    first = 0
    if causal:
        distance = max(-distance, 0)
    else:
        buckets //= 2
        first, distance = buckets * (distance > 0), abs(distance)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(furthest / exact)
    return first + min(exact + int(share * (buckets - exact) + 1e-9), buckets - 1)


def rotate(vector, position, base):
    """Su et al. 2021, equation 13: complex numbers times e^(i position angle)."""
    half = len(vector) // 2
    angles = np.array([position * base ** (-2 * i / len(vector)) for i in range(half)])
    numbers = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate([numbers.real, numbers.imag])


def attention(kind, layer, x, causal):
    """One row [N, D], position by position: outputs, weights."""
    position, n = layer.position, len(x)
    q, k, v = (
        part.reshape(n, HEADS, SIZE) for part in np.split(linear(layer.input_projection, x), 3, 1)
    )
    weights, outputs = np.zeros((HEADS, n, n)), np.zeros((n, HEADS, SIZE))
    for h in range(HEADS):
        for i in range(n):
            scores, values = np.zeros(n), v[:, h].copy()
            for j in range(n):
                query, key, bias = q[i, h] / math.sqrt(SIZE), k[j, h], 0.0
                if kind == "relative":
                    near = int(np.clip(j - i, -2, 2)) + 2
                    key = key + position.key_table.numpy()[near]
                    values[j] += position.value_table.numpy()[near]
                elif kind == "t5":
                    bias = position.table.numpy()[bucket(j - i, causal, 6, 4), h]
                elif kind == "rotary":
                    query, key = rotate(query, i, 50), rotate(key, j, 50)
                else:
                    bias = -abs(i - j) * (1 / 16, 1 / 256)[h]
                scores[j] = query @ key + bias
            weights[h, i] = softmax(scores, np.arange(n) <= i if causal else None)
            outputs[i, h] = weights[h, i] @ values
    return linear(layer.output_projection, outputs.reshape(n, -1)), weights


@CAUSAL
@KINDS
def test_call(kind, causal):
    layer, x = make(kind, causal), normal(2, LENGTH, HEADS * SIZE)
    mask = masks.causal(LENGTH)[None] if causal else None
    outputs, weights = run_both(lambda x: layer(x, mask=mask), x)
    for b in range(2):
        assert_close((outputs[b], weights[b]), attention(kind, layer, x[b], causal))


@pytest.mark.parametrize("max_length", [None, LENGTH + 2])
@KINDS
def test_steps_equal_the_call(kind, max_length):
    layer, x = make(kind, True), normal(3, 2, LENGTH, HEADS * SIZE)
    expected = [layer(x[:, k], mask=masks.causal(LENGTH)[None])[0] for k in range(2)]
    cache = layer.initial_cache(3, 2, max_length)
    step = tf.function(layer.step)
    for t in range(LENGTH):
        rows = tf.constant(x[:, :, t].reshape(6, -1))
        outputs, cache = step(rows, (3, 2), tf.constant(t), cache, cache_mask(max_length, t))
        outputs = tf.reshape(outputs, [3, 2, -1])
        for k in range(2):
            assert_close(outputs[:, k], expected[k][:, t])


@KINDS
def test_padding_changes_nothing(kind):
    layer, x = make(kind, False), normal(1, LENGTH, HEADS * SIZE)
    mask = np.arange(LENGTH + 3)[None, None] < LENGTH
    wide = np.pad(x, [(0, 0), (0, 3), (0, 0)], constant_values=5)
    assert_close(layer(wide, mask=mask)[0][:, :LENGTH], layer(x)[0])


@KINDS
def test_gradients_reach_every_weight(kind):
    layer, x = make(kind, False), normal(2, LENGTH, HEADS * SIZE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[0] ** 2)
    for weight, gradient in zip(
        layer.trainable_weights, tape.gradient(loss, [w.value for w in layer.trainable_weights])
    ):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


@KINDS
def test_bfloat16(kind):
    plain, mixed = make(kind, True), make(kind, True, "mixed_bfloat16")
    x = normal(2, LENGTH, HEADS * SIZE)
    outputs, weights = mixed(x, mask=masks.causal(LENGTH)[None])
    assert (outputs.dtype, weights.dtype) == (tf.bfloat16, tf.float32)
    expected, _ = plain(x, mask=masks.causal(LENGTH)[None])
    assert_close(tf.cast(outputs, tf.float32), expected, 0.1)


@KINDS
def test_dropout_in_training_only(kind):
    layer, x = make(kind, False, dropout=0.5), normal(2, LENGTH, HEADS * SIZE)
    assert_close(layer(x)[0], layer(x, training=False)[0], 0)
    assert np.abs(layer(x, training=True)[0] - layer(x)[0]).max() > 1e-2


@KINDS
def test_configuration_round_trip(kind):
    layer = make(kind, True)
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert loaded.get_config() == layer.get_config()
    assert type(loaded.position) is ATTENTION_POSITIONS[kind]
    assert loaded.position.causal


@pytest.mark.parametrize("causal", [False, True])
def test_buckets(causal):
    """The published defaults: 32 buckets up to 128."""
    position = BucketPosition(1, 4, causal)
    position.build()
    position.table.assign(np.arange(32.0)[:, None])
    buckets = position.bias(None, tf.range(300), tf.range(300)).numpy()[0].astype(int)
    for i, j in [(0, 0), (9, 2), (2, 9), (200, 150), (150, 200), (299, 0), (0, 299), (40, 24)]:
        assert buckets[i, j] == bucket(j - i, causal, 32, 128), (i, j)
    assert buckets.max() == 31
    assert distance_buckets(16, 128)[[0, 7, 8, 11, 12, 15, 16, 127, 128]].tolist() == [
        0,
        7,
        8,
        8,
        9,
        9,
        10,
        15,
        15,
    ]


def test_slopes():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert_close(alibi_slopes(3), [2**-4, 2**-8, 2**-2])
    assert alibi_slopes(12).shape == (12,)
    assert_close(alibi_slopes(12)[8:], [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])
    assert not AlibiPosition(2, 4).weights


def test_rotation_preserves_lengths_and_depends_on_distances_only():
    position, q, k = RotaryPosition(1, 8), normal(1, 1, 8), normal(1, 1, 8, seed=1)
    for first in (0, 3, 1000):
        query = position.rotate(q, tf.constant([first]))
        key = position.rotate(k, tf.constant([first + 5]))
        assert_close(tf.norm(query), np.linalg.norm(q))
        assert_close(np.sum(query * key), np.sum(q * position.rotate(k, tf.constant([5]))), 1e-3)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("relative", {"max_distance": 0}, "max_distance: expected a positive integer, got 0"),
        ("relative", {"reach": 3}, "Unrecognized keyword .* RelativePosition: .'reach'"),
        ("t5", {"num_buckets": 3}, "num_buckets: expected an even number .*, got 3"),
        ("t5", {"max_distance": 4}, "num_buckets: .*max_distance, 4, got 32"),
        ("rotary", {"base": 1}, "base: expected a number above 1, got 1"),
    ],
)
def test_arguments_are_checked(kind, options, message):
    with pytest.raises(ValueError, match=message):
        make_position(kind, HEADS, SIZE, False, "float32", **options)


def test_rotary_needs_an_even_width():
    with pytest.raises(ValueError, match="rotary expected heads of an even width, got 3"):
        RotaryPosition(2, 3)
