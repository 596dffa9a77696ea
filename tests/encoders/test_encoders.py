"""Encoders against readers written from the papers, row by row without any padding."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.encoders import RecurrentEncoder, TransformerEncoder, masked_mean
from tests import references
from tests.references import arrays, assert_close, normal, randomise, right_padded, run_both

LENGTHS = [5, 3, 0, 1]
MASK = right_padded(LENGTHS, 5)
EMPTY = 2


def made(encoder, width):
    encoder.build((None, None, width))
    return randomise(encoder, scale=0.4)


def recurrent(cell="gru", layers=2, bidirectional=True, **options):
    return made(RecurrentEncoder(4, layers, cell, bidirectional, **options), 3)


def transformer(norm="pre", **options):
    return made(TransformerEncoder(8, 2, 2, 12, norm, **options), 8)


def read_row(encoder, x, length):
    """One row through a stack of readers: outputs, states."""
    states = {}
    for i, forward in enumerate(encoder.forward_cells):
        layers = [references.run_cell(encoder.cell, forward, x, length)]
        if encoder.bidirectional:
            backward = encoder.backward_cells[i]
            layers.append(references.run_cell(encoder.cell, backward, x, length, reverse=True))
        x = np.concatenate([outputs for outputs, _ in layers], 1)
        names = forward.state_names
        states[f"layer_{i}"] = {n: np.concatenate([s[n] for _, s in layers]) for n in names}
    return x, states


def transform_row(encoder, x, length):
    """One row through the layers, seen without its padding."""
    mask = np.tile(np.arange(len(x)) < length, (len(x), 1))
    x, maps = references.add_positions(encoder, x), []
    for layer in encoder.layers:
        x, seen, _ = references.transformer_layer(layer, x, mask)
        maps.append(seen)
    x = references.layer_norm(encoder.final_norm, x) if encoder.final_norm else x
    return x, np.concatenate(maps)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_encoder(cell, bidirectional):
    encoder, x = recurrent(cell, bidirectional=bidirectional), normal(4, 5, 3)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    for b, length in enumerate(LENGTHS):
        values, states = read_row(encoder, x[b], length)
        given = tf.nest.map_structure(lambda leaf, b=b: leaf[b], memory.states)
        assert_close((memory.values[b], given), (values, states))
        assert_close(memory.summary[b], states["layer_1"]["h"])
    assert memory.values.shape[2] == encoder.width == (8 if bidirectional else 4)
    np.testing.assert_array_equal(memory.mask, MASK)
    assert memory.source_index is None


@pytest.mark.parametrize("options", [{}, references.MARIAN, {"first_position": 3}], ids=str)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_encoder(norm, options):
    encoder, x = transformer(norm, **options), normal(4, 5, 8)
    memory = run_both(lambda x, m: encoder(x, mask=m, maps="all"), x, MASK)
    for b, length in enumerate(LENGTHS):
        values, maps = transform_row(encoder, x[b], length)
        assert_close((memory.values[b], memory.attention[b]), (values, maps))
        mean = values[:length].mean(0) if length else np.zeros(8)
        assert_close(memory.summary[b], mean)
    assert memory.states == ()
    assert memory.attention.shape == (4, 2 * 2, 5, 5)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_without_its_end_a_source_is_that_without_its_last_token(make):
    encoder = make()
    x = normal(4, 5, 3 if make is recurrent else 8)
    whole = encoder(x, mask=right_padded([4, 2, 0, 0], 5))
    encoder.source_end = False
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    np.testing.assert_array_equal(memory.mask, right_padded([4, 2, 0, 0], 5))
    assert_close((memory.values, memory.summary), (whole.values, whole.summary))
    tf.nest.map_structure(assert_close, memory.states, whole.states)


def test_final_norm_belongs_to_pre_norm():
    assert transformer("pre").final_norm is not None
    assert transformer("post").final_norm is None


def test_maps_only_when_asked_for():
    x = normal(4, 5, 8)
    assert transformer()(x, mask=MASK).attention is None
    assert recurrent()(x[..., :3], mask=MASK, maps="all").attention is None


def test_masked_mean():
    x = normal(4, 5, 3)
    expected = [row[:n].mean(0) if n else np.zeros(3) for row, n in zip(x, LENGTHS, strict=True)]
    assert_close(run_both(masked_mean, x, MASK), expected)
    assert masked_mean(tf.cast(x, tf.bfloat16), MASK).dtype == tf.bfloat16


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_an_empty_row_is_finite_and_alone(make):
    encoder = make()
    x = normal(4, 5, 3 if make is recurrent else 8)
    memory = arrays(encoder(x, mask=MASK))
    assert all(np.isfinite(leaf).all() for leaf in tf.nest.flatten(memory) if leaf is not None)
    np.testing.assert_array_equal(memory.summary[EMPTY], 0.0)
    other = [b for b in range(4) if b != EMPTY]
    alone = encoder(x[other], mask=MASK[other])
    assert_close(memory.values[other], alone.values)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_padding_changes_nothing(make):
    encoder = make()
    x = normal(4, 5, 3 if make is recurrent else 8)
    wide = np.pad(x, [(0, 0), (0, 3), (0, 0)], constant_values=7)
    given = encoder(wide, mask=np.pad(MASK, [(0, 0), (0, 3)]))
    memory = encoder(x, mask=MASK)
    assert_close(given.values.numpy()[:, :5][MASK], memory.values.numpy()[MASK])
    assert_close((given.summary, given.states), (memory.summary, memory.states))


@pytest.mark.parametrize(
    "encoder", [recurrent(dropout=0.5), recurrent(layers=1, dropout=0.5), transformer(dropout=0.5)]
)
def test_dropout_in_training_alone(encoder):
    x = normal(4, 5, 3 if isinstance(encoder, RecurrentEncoder) else 8)
    memory = encoder(x, mask=MASK)
    assert_close(encoder(x, mask=MASK, training=False).values, memory.values, 0)
    assert np.abs(encoder(x, mask=MASK, training=True).values - memory.values).max() > 1e-2


def test_dropout_between_recurrent_layers():
    encoder, x = recurrent(layers=2, dropout=0.5), normal(4, 5, 3)
    first = encoder(x, mask=MASK).states["layer_0"]["h"]
    encoder.input_dropout.rate = 0.0
    assert_close(encoder(x, mask=MASK, training=True).states["layer_0"]["h"], first, 0)
    seen = []
    encoder.input_dropout.call = lambda x, training: seen.append((x.shape[-1], training)) or x
    encoder(x, mask=MASK, training=True)
    assert seen == [(3, True), (8, True)]


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_configuration_round_trip(make):
    for options in [{}] + [references.MARIAN] * (make is transformer):
        config = make(**options).get_config()
        assert config.items() >= options.items()
        assert type(make()).from_config(config).get_config() == config


def test_no_mask_is_passed_on_to_keras():
    for encoder, width in ((recurrent(), 3), (transformer(), 8)):
        assert not hasattr(encoder(normal(4, 5, width), mask=MASK).values, "_keras_mask")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecurrentEncoder(4, cell="rnn"), "cell: expected one of gru, .*, came 'rnn'"),
        (lambda: RecurrentEncoder(0), "units: expected a positive integer, came 0"),
        (lambda: RecurrentEncoder(4, 0), "num_layers: expected a positive integer, came 0"),
        (
            lambda: RecurrentEncoder(4, bidirectional="no"),
            "bidirectional: expected True or False, came 'no'",
        ),
        (
            lambda: RecurrentEncoder(4, source_end="no"),
            "source_end: expected True or False, came 'no'",
        ),
        (
            lambda: TransformerEncoder(8, source_end=None),
            "source_end: expected True or False, came None",
        ),
        (lambda: TransformerEncoder(8, first_position=0.5), "first_position: expected an integer"),
        (lambda: TransformerEncoder(8, 0), "num_layers: expected a positive integer, came 0"),
        (lambda: TransformerEncoder(8, norm="both"), "norm: expected 'pre' or 'post', came 'both'"),
        (lambda: TransformerEncoder(8, num_heads=3), "num_heads: expected a divisor of units"),
        (lambda: TransformerEncoder(5, num_heads=5), "units: expected an even width"),
        (
            lambda: TransformerEncoder(8).build((None, None, 4)),
            r"inputs: expected source vectors of width 8 \(units\), came 4",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
