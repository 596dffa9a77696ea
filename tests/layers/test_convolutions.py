"""Convolutional and mean layers against the papers' formulas, position by position."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import ConvolutionalDecoder, RecurrentDecoder, TransformerDecoder
from keras_s2s.encoders import ConvolutionalEncoder, MeanEncoder, Memory
from keras_s2s.layers.convolutions import GatedConvolution
from tests import references
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

LENGTHS = [5, 3, 0, 1]
MASK = right_padded(LENGTHS, 5)
SQRT_HALF = 0.5**0.5


def build(encoder, width=3):
    encoder.build((None, None, width))
    return randomise(encoder, scale=0.4)


def gated_convolution(layer, x):
    """One row [N, U]: Gehring et al. 2017, section 3.2, with explicit windows."""
    k, outputs = layer.kernel_size, []
    left = k - 1 if layer.causal else k - 1 - k // 2
    for t in range(len(x)):
        window = [
            x[p] if 0 <= p < len(x) else np.zeros(x.shape[1]) for p in range(t - left, t - left + k)
        ]
        a, b = np.split(linear(layer.projection, np.concatenate(window)), 2)
        outputs.append(a * sigmoid(b))
    return np.array(outputs)


def stack(layers, x):
    for layer in layers:
        x = (gated_convolution(layer, x) + x) * SQRT_HALF
    return x


def pad(x, length):
    return np.concatenate([x, np.zeros((length - len(x), x.shape[1]))])


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 7])
def test_gated_convolution(kernel_size, causal, normalized):
    layer = build(GatedConvolution(4, kernel_size, causal, normalized=normalized), 4)
    x = normal(2, 5, 4)
    outputs = run_both(layer, x)
    assert_close(outputs, [gated_convolution(layer, row) for row in x])
    if causal:
        previous = tf.zeros([2, (kernel_size - 1) * 4])
        for t in range(5):
            step_outputs, previous = layer.step(x[:, t], previous)
            assert_close(step_outputs, outputs[:, t])


def test_a_step_does_not_normalize_weights():
    """The scales are part of the context; a step reads each kernel once, for its product."""
    decoder, memory = decoder_and_memory(normalized=True)
    context = decoder.prepare(memory, {})
    state = decoder.initial_state(context, 2)
    body = tf.function(lambda y, p, c, s: decoder.step(y, p, c, s)[0]).get_concrete_function(
        tf.TensorSpec([None, None, 3]), tf.TensorSpec([], tf.int32), context, state
    )
    kinds = [op.type for op in body.graph.get_operations()]
    assert "Sqrt" not in kinds and "Square" not in kinds and "RealDiv" not in kinds
    products = [op for op in body.graph.get_operations() if op.type == "MatMul"]
    assert len(products) == 1 + 3 * 2
    for op in products:
        assert op.inputs[1].op.type == "ReadVariableOp"


def test_initial_weights_preserve_the_variance():
    layer = GatedConvolution(64, 3, dropout=0.25)
    layer.build((None, None, 64))
    kernel = layer.projection.kernel.numpy()
    assert kernel.shape == (192, 128)
    np.testing.assert_allclose(kernel.std(), np.sqrt(4 * 0.75 / 192), rtol=0.05)


@pytest.mark.parametrize("paired", [None, 1])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_convolutional_encoder(positions, paired):
    options = {"paired": paired, "normalized": positions == "learned"}
    encoder = build(ConvolutionalEncoder(6, 2, 3, positions, **options), 4)
    x = normal(4, 5, 4)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    signal = {
        "learned": encoder.position_table and encoder.position_table.get_weights()[0][:5],
        "sinusoidal": references.sinusoids(range(5), 4),
        "none": np.zeros((5, 4)),
    }[positions]
    for b, length in enumerate(LENGTHS):
        embedded = linear(encoder.input_projection, x[b] + signal)[:length]
        keys = stack(encoder.layers, embedded) if length else np.zeros((0, 6))
        values = (keys + embedded) * SQRT_HALF
        if paired and length:
            values = stack(encoder.more_layers, embedded)
        assert_close((memory.keys[b], memory.values[b]), (pad(keys, 5), pad(values, 5)))
        assert_close(memory.summary[b], values.mean(0) if length else np.zeros(6))
    assert (encoder.width, memory.states, memory.source_index) == (6, (), None)


@pytest.mark.parametrize("positions", ["none", "learned", "sinusoidal"])
def test_mean_encoder(positions):
    encoder, x = build(MeanEncoder(4, positions), 4), normal(4, 5, 4)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    expected = x.astype("float64")
    if positions == "learned":
        expected = x + encoder.position_table.get_weights()[0][:5]
    elif positions == "sinusoidal":
        expected = x + references.sinusoids(range(5), 4)
    expected *= MASK[..., None]
    assert_close(memory.values, expected)
    assert_close(memory.summary, expected.sum(1) / np.maximum(LENGTHS, 1)[:, None])


def test_source_end_false_drops_the_last_token():
    shorter = right_padded([4, 2, 0, 0], 5)
    for encoder in (ConvolutionalEncoder(6, 2), MeanEncoder(4)):
        x = normal(4, 5, 4)
        expected = build(encoder, 4)(x, mask=shorter)
        encoder.source_end = False
        memory = encoder(x, mask=MASK)
        np.testing.assert_array_equal(memory.mask, shorter)
        assert_close((memory.values, memory.summary), (expected.values, expected.summary))


def decoder_and_memory(width=4, keys=True, **options):
    decoder = ConvolutionalDecoder(4, 2, 3, **options)
    decoder.build((None, None, 3), {"memory": {"values": (None, None, width)}})
    randomise(decoder, scale=0.4)
    values = normal(4, 5, width, seed=1)
    keys = normal(4, 5, width, seed=2) if keys else None
    return decoder, Memory(values, tf.constant(MASK), normal(4, width, seed=3), keys=keys)


def decode(decoder, y, memory, row):
    """One row through a `ConvolutionalDecoder`: outputs [T, U], weights [A, T, M]."""
    keys = (memory.values if memory.keys is None else memory.keys)[row]
    values = memory.values[row]
    if decoder.memory_projection is not None:
        keys, values = (linear(decoder.memory_projection, x) for x in (keys, values))
    g = linear(decoder.input_projection, y + decoder.position_table.get_weights()[0][: len(y)])
    h, maps, m = g, [], MASK[row].sum()
    for conv, query, output in zip(decoder.layers, decoder.queries, decoder.outputs):
        v = gated_convolution(conv, h)
        d = (linear(query, v) + g) * SQRT_HALF
        weights = np.array([softmax(keys @ row_d, MASK[row]) for row_d in d])
        c = weights @ values * m * np.sqrt(1 / m) if m else np.zeros((len(y), 4))
        h = ((linear(output, c) + v) * SQRT_HALF + h) * SQRT_HALF
        maps.append(weights)
    return h, np.array(maps)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("width", "keys"), [(4, True), (4, False), (6, True)])
def test_convolutional_decoder(width, keys, normalized):
    decoder, memory = decoder_and_memory(width, keys, normalized=normalized)
    y = normal(4, 6, 3, seed=4)

    def run(y):
        return decoder(y, decoder.prepare(memory, {}), maps="all")

    outputs, maps = run_both(run, y)
    for b in range(4):
        assert_close((outputs[b], maps["cross"][b]), decode(decoder, y[b], memory, b))
    assert decoder.attention_names == ["layer 1", "layer 2"]
    alignment = decoder(y, decoder.prepare(memory, {}), maps="alignment")[1]["cross"]
    assert_close(alignment, maps["cross"].mean(1, keepdims=True))
    assert decoder(y, decoder.prepare(memory, {}))[1] is None
    assert (decoder.memory_projection is None) == (width == 4)


@pytest.mark.parametrize(
    "decoder", [RecurrentDecoder(4), TransformerDecoder(4, 2, 2), ConvolutionalDecoder(4, 2)]
)
def test_keys_determine_the_weights_and_values_the_context(decoder):
    decoder.build((None, None, 4), {"memory": {"values": (None, None, 4)}})
    randomise(decoder)
    y, values, keys = normal(4, 1, 4), normal(4, 5, 4, seed=1), normal(4, 5, 4, seed=2)
    summary = normal(4, 4, seed=3)

    def run(values, keys):
        context = decoder.prepare(Memory(values, tf.constant(MASK), summary, keys=keys), {})
        outputs, maps = decoder(y, context, maps="all")
        return outputs.numpy(), maps["cross"].numpy()[:, 0]

    outputs, first = run(values, keys)
    shifted, same = run(values + 1, keys)
    assert_close(same, first)
    assert np.abs(shifted - outputs).max() > 1e-3
    assert np.abs(run(values, keys + normal(4, 5, 4, seed=4))[1] - first).max() > 1e-3
    for result, expected in zip(run(values, values), run(values, None), strict=True):
        assert_close(result, expected)


def test_dropout_in_training_only():
    x, y = normal(4, 5, 4), normal(4, 6, 3)
    for encoder in (ConvolutionalEncoder(6, 2, dropout=0.5), MeanEncoder(4, dropout=0.5)):
        build(encoder, 4)
        plain = encoder(x, mask=MASK).values
        assert_close(encoder(x, mask=MASK, training=False).values, plain, 0)
        assert np.abs(encoder(x, mask=MASK, training=True).values - plain).max() > 1e-2
    decoder, memory = decoder_and_memory(dropout=0.5)
    context = decoder.prepare(memory, {})
    assert_close(decoder(y, context, training=False)[0], decoder(y, context)[0], 0)
    assert np.abs(decoder(y, context, training=True)[0] - decoder(y, context)[0]).max() > 1e-2


@pytest.mark.parametrize(
    "layer",
    [
        ConvolutionalEncoder(6, 2, 5, "none", 0.2, 1, False, True),
        MeanEncoder(4, "sinusoidal", 0.1, False),
        ConvolutionalDecoder(4, 2, 5, {"kind": "learned", "max_length": 7}, 0.2, True),
        GatedConvolution(4, 5, True, 0.1, True),
    ],
)
def test_configuration_round_trip(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MeanEncoder(4, "rotary"),
            "positions: expected one of .*none, learned without self-attention, got 'rotary'",
        ),
        (
            lambda: ConvolutionalDecoder(4, positions="t5"),
            "positions: expected one of .* without self-attention, got 't5'",
        ),
        (
            lambda: ConvolutionalEncoder(4, kernel_size=0),
            "kernel_size: expected a positive integer, got 0",
        ),
        (lambda: ConvolutionalEncoder(4, paired=0), "paired: expected a positive integer, got 0"),
        (
            lambda: MeanEncoder(4).build((None, None, 3)),
            r"inputs: expected source vectors of width 4 \(units\), got 3",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
