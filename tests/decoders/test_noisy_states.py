"""The article's encoder and decoder, equation by equation in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import NoisyStatesDecoder
from keras_s2s.encoders import Memory, NoisyStatesEncoder
from keras_s2s.encoders.noisy_cell import NoisyCell
from tests.references import (
    assert_close,
    linear,
    normal,
    randomise,
    right_padded,
    run_both,
    sigmoid,
    softmax,
)

MASK = right_padded([4, 2, 0], 4)
WIDTH, UNITS, MEMORY = 3, 5, 6


def encoder(**options):
    layer = NoisyStatesEncoder(UNITS, **options)
    layer.build((None, None, WIDTH))
    return randomise(layer)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "recurrent": True}], ids=str)
@pytest.mark.parametrize("source_units", [None, WIDTH])
def test_encoder(source_units, options):
    layer, x = encoder(source_units=source_units, **options), normal(3, 4, WIDTH)
    memory = run_both(lambda x: layer(x, mask=tf.constant(MASK))[:3], x)
    for values, summary, inputs, mask in zip(memory[0], memory[2], x, MASK, strict=True):
        hidden = inputs.astype("float64")
        for cell in layer.cells:
            past, rows = np.zeros(UNITS), []
            for vector in hidden:
                inner = linear(cell.input_projection, vector)
                if layer.recurrent:
                    inner = inner + linear(cell.recurrent_projection, past)
                past = np.tanh(inner)
                rows.append(past)
            hidden = np.array(rows)
        expected = hidden if source_units is None else np.concatenate([hidden, inputs], 1)
        mean = inputs[mask].mean(0) if mask.any() else np.zeros(WIDTH)
        context = linear(layer.mean_projection, mean)
        context = np.tanh(context + linear(layer.start_projection, np.asarray(layer.start)[0]))
        assert_close((values, summary), (expected * mask[:, None], context))
    assert memory[0].shape[2] == layer.width


def test_as_written_a_state_knows_one_input():
    x = normal(1, 4, WIDTH)
    for recurrent, others in ((False, False), (True, True)):
        layer = encoder(recurrent=recurrent)
        changed = x.copy()
        changed[:, 0] += 1
        whole = tf.ones([1, 4], tf.bool)
        before, after = layer(x, mask=whole).values, layer(changed, mask=whole).values
        assert (np.abs(after - before)[:, 1:].max() > 0) == others


def test_noise_in_training_alone():
    layer, x = encoder(noise=0.5, activation="linear"), normal(400, 4, WIDTH)
    whole = tf.ones([400, 4], tf.bool)
    still = layer(x, mask=whole).values
    assert_close(layer(x, mask=whole, training=False).values, still, 0)
    noise = (layer(x, mask=whole, training=True).values - still).numpy()
    np.testing.assert_allclose(noise.std(), 0.5, atol=0.02)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.02)
    assert_close(encoder(noise=0)(x, mask=whole, training=True), encoder()(x, mask=whole))


def made(**options):
    layer = NoisyStatesDecoder(UNITS, **options)
    layer.build((None, None, WIDTH), {"memory": {"values": (None, None, MEMORY)}})
    return randomise(layer)


def gated(attention, values, hidden, inputs, past, query, mask):
    """alpha_j = softmax_j(sigmoid(W_za z_j + U_za s + b)), z_j = V_a tanh(W_a h_bar + U_a x_j)."""
    gates = []
    for x in inputs:
        inner = linear(attention.context_projection, past) + linear(attention.source_projection, x)
        z = linear(attention.mixing, np.tanh(inner))
        gates.append(sigmoid(linear(attention.gate, z) + linear(attention.query_gate, query))[0])
    return softmax(np.array(gates), mask)


def linear_form(attention, values, hidden, inputs, past, query, mask):
    """e_j = W_eh h_j + U_eh s + b_eh."""
    scores = [
        (linear(attention.key_projection, h) + linear(attention.query_projection, query))[0]
        for h in hidden
    ]
    return softmax(np.array(scores), mask)


@pytest.mark.parametrize("read_context", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(("kind", "weigh"), [("gated", gated), ("linear", linear_form)])
def test_decoder(kind, weigh, recurrent, read_context):
    decoder = made(
        num_layers=2,
        attention={"kind": kind, "source_units": 2},
        recurrent=recurrent,
        read_context=read_context,
    )
    values = normal(3, 4, MEMORY, seed=7) * MASK[:, :, None]
    memory = Memory(*map(tf.constant, (values, MASK, normal(3, MEMORY, seed=8))))
    x = normal(3, 5, WIDTH)
    outputs, maps = run_both(lambda x: decoder(x, decoder.prepare(memory, {}), maps="alignment"), x)
    for b in range(3):
        hidden, inputs = values[b, :, :-2], values[b, :, -2:]
        start = np.tanh(linear(decoder.state_bridge.projection, memory.summary[b]))
        states, context = np.split(start, 2), np.zeros(MEMORY - 2)
        for t, y in enumerate(x[b]):
            last = states[-1]
            weights = weigh(decoder.attention, values[b], hidden, inputs, context, last, MASK[b])
            context, vector = weights @ hidden, y
            for i, cell in enumerate(decoder.cells):
                inner = linear(cell.input_projection, vector)
                if recurrent:
                    inner = inner + linear(cell.recurrent_projection, states[i])
                if read_context and i == 0:
                    inner = inner + linear(decoder.context_projection, context)
                states[i] = vector = np.tanh(inner)
            seen = [last, context, y] if read_context else [last, y]
            expected = np.tanh(linear(decoder.readout, np.concatenate(seen)))
            assert_close((outputs[b, t], maps["cross"][b, 0, t]), (expected, weights))


def test_decoder_noise_in_training_alone():
    decoder = made(noise=0.5, recurrent=True, read_context=True)
    memory = Memory(tf.constant(normal(3, 4, MEMORY)), tf.constant(MASK), tf.zeros([3, MEMORY]))
    x, context = normal(3, 5, WIDTH), decoder.prepare(memory, {})
    still = decoder(x, context)[0]
    assert_close(decoder(x, context, training=False)[0], still, 0)
    first, second = (decoder(x, context, training=True)[0] for _ in range(2))
    assert np.abs(first - still).max() > 0.05
    assert np.abs(first - second).max() > 0.05


def test_configuration_round_trip():
    for layer in (
        NoisyCell(3, "relu", 0, True),
        NoisyStatesEncoder(3, 2, "relu", 0.2, True, 4, 0.1, False),
        NoisyStatesDecoder(3, 2, {"kind": "linear"}, "relu", 0.2, True, True, 0.1),
    ):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoisyCell(3, noise=-1), "noise: expected a number of at least 0, came -1"),
        (lambda: NoisyCell(0), "units: expected a positive integer, came 0"),
        (lambda: NoisyStatesEncoder(3, recurrent=1), "recurrent: expected True or False, came 1"),
        (lambda: encoder(source_units=4), "source_units: expected the inputs' width 3, came 4"),
        (lambda: made(read_context=1), "read_context: expected True or False, came 1"),
        (
            lambda: made(attention={"kind": "gated", "source_units": 6}),
            "source_units: expected fewer than the memory's width 6, came 6",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
