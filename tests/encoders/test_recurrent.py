"""Recurrent encoders beyond the plain stack, row by row against readers written from the papers."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.encoders import GNMTEncoder, PyramidalEncoder, RecurrentEncoder
from keras_s2s.layers import recurrent
from tests import references
from tests.references import assert_close, normal, randomise, right_padded, run_both

LENGTHS = [5, 3, 0, 1]
MASK = right_padded(LENGTHS, 5)
NORMED = pytest.mark.parametrize("kind", ["layer_norm_gru", "layer_norm_lstm"])


def made(encoder, width=3):
    encoder.build((None, None, width))
    return randomise(encoder, scale=0.4)


def both_ways(encoder, i, x, length):
    """A layer of a row: outputs [S, width], its states."""
    layers = [references.run_cell(encoder.cell, encoder.forward_cells[i], x, length)]
    if encoder.bidirectional:
        cell = encoder.backward_cells[i]
        layers.append(references.run_cell(encoder.cell, cell, x, length, reverse=True))
    names = encoder.forward_cells[0].state_names
    states = {n: np.concatenate([s[n] for _, s in layers]) for n in names}
    return np.concatenate([outputs for outputs, _ in layers], 1), states


def rows(memory):
    return lambda b: tf.nest.map_structure(lambda leaf: leaf[b], memory.states)


@NORMED
def test_cells_with_layer_normalisation(kind):
    cell, x = recurrent.cell(kind, 4), normal(2, 3)
    cell.build((None, 3))
    randomise(cell)
    states = {name: normal(2, 4, seed=i + 1) for i, name in enumerate(cell.state_names)}
    outputs, new = run_both(lambda x, s: cell(cell.project(x), s), x, states)
    for b in range(2):
        row = {name: state[b] for name, state in states.items()}
        expected = references.cell_step(kind, cell, x[b], row)
        assert_close({name: state[b] for name, state in new.items()}, expected)
        assert_close(outputs[b], expected["h"])
    assert type(cell).from_config(cell.get_config()).get_config() == cell.get_config()


@pytest.mark.parametrize("kind", ["gru", "lstm", "layer_norm_lstm"])
def test_factors_of_the_state_touch_the_recurrent_product_alone(kind):
    cell = recurrent.cell(kind, 4)
    cell.build((None, 3))
    randomise(cell)
    states = {name: normal(2, 4, seed=i + 1) for i, name in enumerate(cell.state_names)}
    recurrent_scale = np.array([[2, 0, 2, 0], [0, 0, 2, 2]], "float32")
    _, new = cell(cell.project(normal(2, 3)), states, recurrent_scale=recurrent_scale)
    kernel = cell.recurrent_projection.kernel
    for b in range(2):
        plain = kernel.numpy()
        kernel.assign(plain * recurrent_scale[b][:, None])  # U (h * k) is (U diag(k)) h
        _, expected = cell(cell.project(normal(2, 3)), states)
        kernel.assign(plain)
        assert_close({n: x[b] for n, x in new.items()}, {n: x[b] for n, x in expected.items()})


@pytest.mark.parametrize("bidirectional", [True, False])
def test_residual(bidirectional):
    encoder = made(RecurrentEncoder(4, 3, "layer_norm_gru", bidirectional, residual=True))
    x = normal(4, 5, 3)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    for b, length in enumerate(LENGTHS):
        values, _ = both_ways(encoder, 0, x[b], length)
        for i in (1, 2):
            outputs, states = both_ways(encoder, i, values, length)
            values = values + outputs
        assert_close(memory.values[b], values)
        assert_close((memory.summary[b], rows(memory)(b)["layer_2"]), (states["h"], states))


def test_variational_dropout_draws_once_for_a_sequence():
    encoder, x = made(RecurrentEncoder(4, dropout=0.5, variational=True)), np.ones((2, 9, 3), "f4")
    mask, seen, recurrent_scale = np.ones((2, 9), bool), [], []
    run = recurrent.run
    encoder._run = lambda cell, inputs, mask, training, reverse=False: (
        seen.append(inputs),
        recurrent_scale.append(encoder._kept(2, 4, tf.float32)),
        run(cell, inputs, mask, reverse, recurrent_scale[-1]),
    )[2]
    given = encoder(x, mask=mask, training=True)
    for inputs in seen:
        assert_close(inputs, np.repeat(inputs[:, :1], 9, 1), 0)
    assert set(np.unique(np.concatenate([*seen, *recurrent_scale], None))) == {0.0, 2.0}
    assert np.abs(recurrent_scale[0] - recurrent_scale[1]).max() == 2
    forward, _ = run(encoder.forward_cells[0], seen[0], mask, False, recurrent_scale[0])
    assert_close(given.values[..., :4], forward)


def test_variational_dropout_in_training_alone():
    encoder, x = made(RecurrentEncoder(4, 2, dropout=0.5, variational=True)), normal(4, 5, 3)
    plain = RecurrentEncoder(4, 2)
    plain.build((None, None, 3))
    plain.set_weights(encoder.get_weights())
    assert_close(encoder(x, mask=MASK).values, plain(x, mask=MASK).values, 0)
    drawn = [encoder(x, mask=MASK, training=True).values for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    assert not np.any(drawn[0].numpy()[~MASK])


@pytest.mark.parametrize("bidirectional", [True, False])
def test_pyramidal_encoder(bidirectional):
    encoder = made(PyramidalEncoder(4, 3, "lstm", bidirectional))
    x = normal(4, 5, 3)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    for b, length in enumerate(LENGTHS):
        values, _ = both_ways(encoder, 0, x[b], length)
        for i, places in ((1, 3), (2, 2)):
            values = np.concatenate([values, np.zeros((2, values.shape[1]))])
            values = np.array([np.concatenate(values[2 * m : 2 * m + 2]) for m in range(places)])
            length = -(-length // 2)
            values, states = both_ways(encoder, i, values, length)
        assert_close((memory.values[b], memory.summary[b]), (values, states["h"]))
        assert memory.mask[b].sum() == length
    np.testing.assert_array_equal(memory.source_index, [[0, 4]] * 4)
    assert (encoder.width, encoder.has_source_index) == (8 if bidirectional else 4, True)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_length_of_a_pyramid(length):
    encoder = made(PyramidalEncoder(4, 3, "gru"))
    memory = encoder(normal(1, length, 3), mask=np.ones((1, length), bool))
    assert memory.values.shape == (1, -(-length // 4), 8)
    assert memory.mask.numpy().all()
    assert memory.source_index.numpy().max() < length


def test_gnmt_encoder():
    encoder, x = made(GNMTEncoder(4, 4)), normal(4, 5, 3)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    for b, length in enumerate(LENGTHS):
        values, first = both_ways(encoder.bottom, 0, x[b], length)
        states = {"layer_0": {n: s[4:] for n, s in first.items()}}
        values, states["layer_1"] = both_ways(encoder.middle, 0, values, length)
        for i, layer in enumerate(encoder.top, 2):
            outputs, states[f"layer_{i}"] = both_ways(layer, 0, values, length)
            values = values + outputs
        assert_close((memory.values[b], rows(memory)(b)), (values, states))
    assert memory.values.shape[2] == encoder.width == 4
    assert GNMTEncoder(4, 2).top is None


@pytest.mark.parametrize(
    "encoder",
    [
        RecurrentEncoder(4, 2, residual=True, variational=True),
        PyramidalEncoder(4, 3, "gru", False, 0.1, False, True),
        GNMTEncoder(4, 3, "gru", 0.1, False),
    ],
)
def test_configuration_round_trip(encoder):
    config = encoder.get_config()
    assert type(encoder).from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: RecurrentEncoder(4, residual=1),
            "residual: expected True or False, came 1",
        ),
        (
            lambda: PyramidalEncoder(4, variational="x"),
            "variational: expected True or False, came 'x'",
        ),
        (lambda: PyramidalEncoder(4, 0), "num_layers: expected a positive integer, came 0"),
        (lambda: GNMTEncoder(4, 1), "num_layers: expected at least 2, came 1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
