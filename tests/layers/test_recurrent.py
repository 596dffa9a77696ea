"""Cells against the papers and Keras, and the loop over time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers import recurrent
from tests import references
from tests.references import assert_close, normal, randomise, right_padded, run_both

LENGTHS = [5, 3, 0, 1]
MASK = right_padded(LENGTHS, 5)
KINDS = ["gru", "lstm"]


def made(kind, units=4, width=3, **options):
    cell = recurrent.cell(kind, units, **options)
    cell.build((None, width))
    return randomise(cell)


def keras_layer(kind, cell, **options):
    """A Keras layer with our weights; its LSTM adds up the biases and the 1 of the forget gate."""
    x, h = cell.input_projection, cell.recurrent_projection
    if kind == "gru":
        layer, bias = keras.layers.GRU(cell.units, reset_after=True, **options), [x.bias, h.bias]
    else:
        layer = keras.layers.LSTM(cell.units, **options)
        bias = x.bias + h.bias + np.repeat([0, 1, 0, 0], cell.units)
    layer.build((None, None, x.kernel.shape[0]))
    layer.set_weights([x.kernel.numpy(), h.kernel.numpy(), np.array(bias)])
    return layer


@pytest.mark.parametrize("kind", KINDS)
def test_one_step(kind):
    cell, x = made(kind), normal(2, 3)
    states = {name: normal(2, 4, seed=i + 1) for i, name in enumerate(cell.state_names)}
    outputs, new = run_both(lambda x, s: cell(cell.project(x), s), x, states)
    for b in range(2):
        row = {name: state[b] for name, state in states.items()}
        expected = references.cell_step(kind, cell, x[b], row)
        assert_close({name: state[b] for name, state in new.items()}, expected)
        assert_close(outputs[b], expected["h"])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_reading_stops_at_the_padding(kind, reverse):
    cell, x = made(kind), normal(4, 5, 3)
    outputs, states = run_both(lambda x, m: recurrent.run(cell, x, m, reverse), x, MASK)
    for b, length in enumerate(LENGTHS):
        expected = references.run_cell(kind, cell, x[b], length, reverse)
        assert_close((outputs[b], {name: s[b] for name, s in states.items()}), expected)
    np.testing.assert_array_equal(outputs[~MASK], 0.0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_same_as_the_layer_of_keras(kind, reverse):
    cell, x = made(kind), normal(4, 5, 3)
    outputs, states = recurrent.run(cell, x, tf.ones([4, 5], tf.bool), reverse)
    layer = keras_layer(kind, cell, return_sequences=True, return_state=True, go_backwards=reverse)
    expected, *final = layer(x)
    assert_close(outputs, expected[:, ::-1] if reverse else expected)
    assert_close([states[name] for name in cell.state_names], final)


@pytest.mark.parametrize("kind", KINDS)
def test_same_as_keras_under_a_mask(kind):
    cell, x = made(kind), normal(4, 5, 3)
    _, states = recurrent.run(cell, x, tf.constant(MASK))
    _, *final = keras_layer(kind, cell, return_state=True)(x, mask=tf.constant(MASK))
    assert_close([states[name] for name in cell.state_names], final)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_padding_does_not_matter(kind):
    cell, x = made(kind), normal(4, 5, 3)
    other = np.where(MASK[:, :, None], x, 1e3)
    for reverse in (False, True):
        given = recurrent.run(cell, other, MASK, reverse)
        assert_close(given, recurrent.run(cell, x, MASK, reverse), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_keras(kind):
    cell, x = made(kind), tf.constant(normal(2, 5, 3))
    layer = keras_layer(kind, cell)
    gradients = []
    for read in (lambda: recurrent.run(cell, x, x[..., 0] < 9)[1]["h"], lambda: layer(x)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(read() ** 2)
        gradients.append(tape.gradient(loss, x))
    assert_close(*gradients)


def test_unroll_over_nests_of_inputs_states_and_outputs():
    x = {"a": tf.constant(normal(2, 5, 3)), "b": tf.constant(normal(2, 5, seed=1))}
    like = (tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None], tf.float32))

    def advance(here, states):
        total = states[0] + here["b"]
        return (here["a"] * 2, total), [total]

    for reverse in (False, True):
        (doubled, sums), (final,) = run_both(
            lambda x, r=reverse: recurrent.unroll(advance, x, [tf.zeros([2])], like, r), x
        )
        assert_close(doubled, x["a"] * 2)
        b = x["b"].numpy()
        expected = b[:, ::-1].cumsum(1)[:, ::-1] if reverse else b.cumsum(1)
        assert_close((sums, final), (expected, b.sum(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind):
    cell = made(kind)
    outputs, states = recurrent.run(cell, tf.zeros([0, 5, 3]), tf.zeros([0, 5], tf.bool))
    assert outputs.shape == (0, 5, 4)
    assert all(state.shape == (0, 4) for state in states.values())


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_follows_the_policy(kind):
    cell, x = made(kind, dtype="mixed_bfloat16"), normal(4, 5, 3)
    outputs, states = recurrent.run(cell, x, MASK)
    assert {outputs.dtype, *(s.dtype for s in states.values())} == {tf.bfloat16}
    expected = recurrent.run(made(kind), x, MASK)[0]
    assert_close(tf.cast(outputs, tf.float32), expected, 0.05)


def test_unknown_cell():
    with pytest.raises(ValueError, match="cell: expected one of gru, .*, came 'rnn'"):
        recurrent.cell("rnn", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_round_trip(kind):
    config = made(kind).get_config()
    assert recurrent.CELLS[kind].from_config(config).get_config() == config
