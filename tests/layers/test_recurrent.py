"""Recurrent cells against the papers and Keras, and the loop over time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers import recurrent
from keras_s2s.layers.loop_backend import LITERT, XLALoopBackend
from tests import references
from tests.references import assert_close, normal, randomise, right_padded, run_both

LENGTHS = [5, 3, 0, 1]
MASK = right_padded(LENGTHS, 5)
KINDS = ["gru", "lstm"]


def make_cell(kind, units=4, width=3, **options):
    cell = recurrent.cell(kind, units, **options)
    cell.build((None, width))
    return randomise(cell)


def keras_layer(kind, cell, **options):
    """A Keras layer with the cell's weights; its LSTM has one bias, with the forget gate's 1."""
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
    cell, x = make_cell(kind), normal(2, 3)
    states = {name: normal(2, 4, seed=i + 1) for i, name in enumerate(cell.state_names)}
    outputs, new = run_both(lambda x, s: cell(cell.project(x), s), x, states)
    for b in range(2):
        row = {name: state[b] for name, state in states.items()}
        expected = references.cell_step(kind, cell, x[b], row)
        assert_close({name: state[b] for name, state in new.items()}, expected)
        assert_close(outputs[b], expected["h"])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_states_do_not_change_at_padding(kind, reverse):
    cell, x = make_cell(kind), normal(4, 5, 3)
    outputs, states = run_both(lambda x, m: recurrent.run(cell, x, m, reverse), x, MASK)
    for b, length in enumerate(LENGTHS):
        expected = references.run_cell(kind, cell, x[b], length, reverse)
        assert_close((outputs[b], {name: s[b] for name, s in states.items()}), expected)
    np.testing.assert_array_equal(outputs[~MASK], 0.0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_keras_layer(kind, reverse):
    cell, x = make_cell(kind), normal(4, 5, 3)
    outputs, states = recurrent.run(cell, x, tf.ones([4, 5], tf.bool), reverse)
    layer = keras_layer(kind, cell, return_sequences=True, return_state=True, go_backwards=reverse)
    expected, *final = layer(x)
    assert_close(outputs, expected[:, ::-1] if reverse else expected)
    assert_close([states[name] for name in cell.state_names], final)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_keras_under_a_mask(kind):
    cell, x = make_cell(kind), normal(4, 5, 3)
    _, states = recurrent.run(cell, x, tf.constant(MASK))
    _, *final = keras_layer(kind, cell, return_state=True)(x, mask=tf.constant(MASK))
    assert_close([states[name] for name in cell.state_names], final)


@pytest.mark.parametrize("kind", KINDS)
def test_values_at_padding_do_not_matter(kind):
    cell, x = make_cell(kind), normal(4, 5, 3)
    other = np.where(MASK[:, :, None], x, 1e3)
    for reverse in (False, True):
        outputs = recurrent.run(cell, other, MASK, reverse)
        assert_close(outputs, recurrent.run(cell, x, MASK, reverse), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_those_of_keras(kind):
    cell, x = make_cell(kind), tf.constant(normal(2, 5, 3))
    layer = keras_layer(kind, cell)
    gradients = []
    for run in (lambda: recurrent.run(cell, x, x[..., 0] < 9)[1]["h"], lambda: layer(x)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(run() ** 2)
        gradients.append(tape.gradient(loss, x))
    assert_close(*gradients)


def test_unroll_over_nests_of_inputs_states_and_outputs():
    x = {"a": tf.constant(normal(2, 5, 3)), "b": tf.constant(normal(2, 5, seed=1))}
    like = (tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None], tf.float32))

    def advance(column, states):
        total = states[0] + column["b"]
        return (column["a"] * 2, total), [total]

    for reverse in (False, True):
        (doubled, sums), (final,) = run_both(
            lambda x, r=reverse: recurrent.unroll(advance, x, [tf.zeros([2])], like, r), x
        )
        assert_close(doubled, x["a"] * 2)
        b = x["b"].numpy()
        expected = b[:, ::-1].cumsum(1)[:, ::-1] if reverse else b.cumsum(1)
        assert_close((sums, final), (expected, b.sum(1)))


@pytest.mark.parametrize("loop_backend", [XLALoopBackend(9), LITERT], ids=["xla", "litert"])
@pytest.mark.parametrize("reverse", [False, True])
def test_run_in_other_loop_backends(reverse, loop_backend):
    cell, x = make_cell("lstm"), normal(4, 5, 3)

    @tf.function(jit_compile=True, autograph=False)
    def run(x, mask):
        return recurrent.run(cell, x, mask, reverse, loop_backend=loop_backend)

    assert_close(run(x, MASK), recurrent.run(cell, x, MASK, reverse))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind):
    cell = make_cell(kind)
    outputs, states = recurrent.run(cell, tf.zeros([0, 5, 3]), tf.zeros([0, 5], tf.bool))
    assert outputs.shape == (0, 5, 4)
    assert all(state.shape == (0, 4) for state in states.values())


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_follows_the_policy(kind):
    cell, x = make_cell(kind, dtype="mixed_bfloat16"), normal(4, 5, 3)
    outputs, states = recurrent.run(cell, x, MASK)
    assert {outputs.dtype, *(s.dtype for s in states.values())} == {tf.bfloat16}
    expected = recurrent.run(make_cell(kind), x, MASK)[0]
    assert_close(tf.cast(outputs, tf.float32), expected, 0.05)


def test_unknown_cell():
    with pytest.raises(ValueError, match="cell: expected one of gru, .*, got 'rnn'"):
        recurrent.cell("rnn", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_round_trip(kind):
    config = make_cell(kind).get_config()
    assert recurrent.CELLS[kind].from_config(config).get_config() == config
