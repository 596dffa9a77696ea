"""Decoders against the papers' formulas, and one step at a time against the whole."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import Bridge, RecurrentDecoder, TransformerDecoder
from keras_s2s.decoders.base import Decoder
from keras_s2s.encoders import Memory
from tests import references
from tests.references import assert_close, linear, normal, randomise, right_padded, run_both

LENGTHS = [4, 2, 0]
MASK = right_padded(LENGTHS, 4)
EMPTY = 2


def seen(states=(), width=6):
    """A memory of three rows: one full, one padded, one empty."""
    values = normal(3, 4, width, seed=7) * MASK[:, :, None]
    return Memory(*map(tf.constant, (values, MASK, normal(3, width, seed=8))), states)


def made(decoder, width, memory_width=6):
    context = {"memory": {"values": (None, None, memory_width)}}
    decoder.build((None, None, width), context)
    return randomise(decoder, scale=0.4)


def recurrent(cell="gru", layers=1, **options):
    return made(RecurrentDecoder(5, layers, cell, **options), 3)


def transformer(layers=2, norm="pre", **options):
    return made(TransformerDecoder(8, layers, 2, 12, norm, **options), 8)


def inputs_of(decoder, rows=3, length=5):
    return normal(rows, length, 3 if isinstance(decoder, RecurrentDecoder) else 8)


def first_states(decoder, summary):
    """tanh(W summary + b), cut into the states of the layers, for one row."""
    names = decoder.cells[0].state_names
    leaves = iter(
        np.split(
            np.tanh(linear(decoder.state_bridge.projection, summary)),
            decoder.num_layers * len(names),
        )
    )
    return [{name: next(leaves) for name in names} for _ in range(decoder.num_layers)]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_decoder(cell, layers):
    decoder, memory = recurrent(cell, layers, attention_units=7), seen()
    x = inputs_of(decoder)

    def run(x):
        return decoder(x, decoder.prepare(memory, {}), maps="all")

    outputs, maps = run_both(run, x)
    for b in range(3):
        row, mask = memory.values[b].numpy(), MASK[b]
        states = first_states(decoder, memory.summary[b])
        expected, weights = references.bahdanau(decoder, x[b], row, mask, states)
        assert_close((outputs[b], maps["cross"][b, 0]), (expected, weights))
    assert decoder.attention_names == ["attention"]


@pytest.mark.parametrize("options", [{}, references.MARIAN, {"first_position": 3}], ids=str)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_decoder(norm, options):
    decoder, memory = transformer(norm=norm, **options), seen()
    x = inputs_of(decoder)
    outputs, maps = run_both(lambda x: decoder(x, decoder.prepare(memory, {}), maps="all"), x)
    for b in range(3):
        y, own, cross = references.add_positions(decoder, x[b]), [], []
        for layer in decoder.layers:
            y, back, over = references.transformer_layer(
                layer, y, np.tri(5, dtype=bool), memory.values[b].numpy(), MASK[b]
            )
            own.append(back)
            cross.append(over)
        y = references.layer_norm(decoder.final_norm, y) if norm == "pre" else y
        given = (outputs[b], maps["self"][b], maps["cross"][b])
        assert_close(given, (y, np.concatenate(own), np.concatenate(cross)))
    assert decoder.attention_names[2] == "layer 2 head 1"
    assert len(decoder.attention_names) == maps["cross"].shape[1]


def steps(decoder, x, context, max_length=None, run=None):
    """Outputs [B, K, T, D] and alignments [B, T, K, M] of K hypotheses, one step at a time."""
    state = decoder.initial_state(context, x.shape[1], max_length)
    outputs, maps = [], []
    for t in range(x.shape[2]):
        step = run or decoder.step
        out, state, weights = step(x[:, :, t], tf.constant(t), context, state, maps="alignment")
        outputs.append(out)
        maps.append(weights[:, 0])
    return tf.stack(outputs, 2), tf.stack(maps, 1)


@pytest.mark.parametrize("max_length", [None, 6])
@pytest.mark.parametrize(
    "decoder",
    [
        recurrent("gru"),
        recurrent("gru", 2),
        recurrent("lstm", bridge="zero"),
        transformer(),
        transformer(1, "post"),
        transformer(3, **references.MARIAN),
    ],
)
def test_steps_equal_the_whole(decoder, max_length):
    x = normal(3, 2, 5, inputs_of(decoder).shape[2])  # [B, K, T, D]
    context = decoder.prepare(seen(), {})
    outputs, maps = steps(decoder, x, context, max_length)
    for k in range(2):
        expected, given = decoder(x[:, k], context, maps="alignment")
        assert_close((outputs[:, k], maps[:, :, k]), (expected, given["cross"][:, 0]))


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_steps_inside_a_function(make):
    decoder = make()
    x, context = inputs_of(decoder)[:, None], decoder.prepare(seen(), {})
    graph = tf.function(decoder.step, reduce_retracing=True)
    assert_close(steps(decoder, x, context, 5, graph), steps(decoder, x, context, 5), 1e-6)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_an_empty_memory_is_finite_and_alone(make):
    decoder, memory = make(), seen()
    x = inputs_of(decoder)
    outputs, maps = decoder(x, decoder.prepare(memory, {}), maps="all")
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(maps["cross"][EMPTY], 0.0)
    alone = Memory(memory.values[:EMPTY], memory.mask[:EMPTY], memory.summary[:EMPTY])
    expected, _ = decoder(x[:EMPTY], decoder.prepare(alone, {}))
    assert_close(outputs[:EMPTY], expected)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_a_place_sees_nothing_that_follows(make):
    decoder = make()
    x, context = inputs_of(decoder), decoder.prepare(seen(), {})
    changed = x.copy()
    changed[:, 3:, ::2] += 1  # a shift of the whole vector is what a norm takes away
    before, after = decoder(x, context)[0], decoder(changed, context)[0]
    assert_close(after[:, :3], before[:, :3], 0)
    assert np.abs(after - before)[:, 3:].min(axis=2).max() > 0


@pytest.mark.parametrize(("layers", "chosen"), [(1, 0), (2, 0), (3, 1)])
def test_alignment_is_the_mean_of_the_last_layer_but_one(layers, chosen):
    decoder = transformer(layers)
    x, context = inputs_of(decoder), decoder.prepare(seen(), {})
    cross = decoder(x, context, maps="all")[1]["cross"]
    given = decoder(x, context, maps="alignment")[1]["cross"]
    assert_close(given[:, 0], tf.reduce_mean(cross[:, 2 * chosen : 2 * chosen + 2], 1))


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_maps_that_are_asked_for(make):
    decoder = make()
    x, context = inputs_of(decoder), decoder.prepare(seen(), {})
    assert decoder(x, context)[1] is None
    assert set(decoder(x, context, maps="alignment")[1]) == {"cross"}
    own = {"self"} if make is transformer else set()
    assert set(decoder(x, context, maps="all")[1]) == {"cross"} | own
    state = decoder.initial_state(context, 1)
    assert decoder.step(x[:, :1], tf.constant(0), context, state)[2] is None
    with pytest.raises(ValueError, match="maps: expected one of none, alignment, all, came 'some'"):
        decoder(x, context, maps="some")


@pytest.mark.parametrize("decoder", [RecurrentDecoder(5), TransformerDecoder(8, 1, 2)])
def test_a_step_before_build(decoder):
    with pytest.raises(ValueError, match=f"{decoder.name}: build the decoder before its first"):
        decoder.step(normal(1, 1, decoder.width), tf.constant(0), {}, {})


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_copy_bridge(cell):
    names = ("h", "c") if cell == "lstm" else ("h",)
    states = {
        f"layer_{i}": {n: tf.constant(normal(3, 5, seed=i + len(n))) for n in names}
        for i in range(2)
    }
    decoder = recurrent(cell, 2, bridge="copy")
    context = decoder.prepare(seen(states), {})
    assert_close(context["initial"], states, 0)
    state = decoder.initial_state(context, 3)
    assert_close(state["layer_1"]["h"][:, 2], states["layer_1"]["h"], 0)


def test_zero_bridge():
    decoder = recurrent("lstm", 2, bridge="zero")
    for leaf in tf.nest.flatten(decoder.prepare(seen(), {})["initial"]):
        np.testing.assert_array_equal(leaf, np.zeros((3, 5)))
    assert not decoder.state_bridge.weights


@pytest.mark.parametrize(
    ("states", "came"),
    [
        ((), r"came \[\]"),
        ({"layer_0": {"h": tf.zeros([3, 10])}}, r"came \[\{'h': 10\}\]"),
        ({"layer_0": {"h": tf.zeros([3, 5]), "c": tf.zeros([3, 5])}}, "came .*'c': 5"),
        ({f"layer_{i}": {"h": tf.zeros([3, 5])} for i in range(2)}, "came .*'h': 5.*'h': 5"),
    ],
)
def test_copy_of_states_that_do_not_fit(states, came):
    message = r"^bridge: 'copy' expected the encoder to end in states \[\{'h': 5\}\], " + came
    with pytest.raises(ValueError, match=message + ".*; use 'dense' or equal sizes$"):
        recurrent(bridge="copy").prepare(seen(states), {})
    with pytest.raises(ValueError, match="'copy' expected the encoder"):
        Bridge(1, 5, ("h",), "copy")(tf.zeros([3, 6]), states=states)


@pytest.mark.parametrize(
    "decoder", [recurrent(dropout=0.4), recurrent("lstm", 2, dropout=0.4), transformer(dropout=0.4)]
)
def test_dropout_in_training_alone(decoder):
    x, context = inputs_of(decoder), decoder.prepare(seen(), {})
    assert_close(decoder(x, context, training=False)[0], decoder(x, context)[0], 0)
    assert np.abs(decoder(x, context, training=True)[0] - decoder(x, context)[0]).max() > 1e-2


@pytest.mark.parametrize("layers", [1, 3])
def test_recurrent_dropout_drops_inputs_between_layers_and_outputs(layers):
    decoder, widths = recurrent(layers=layers, dropout=0.4), []
    x, context = inputs_of(decoder), decoder.prepare(seen(), {})
    decoder.input_dropout.call = lambda x, training: widths.append((x.shape[1:], training)) or x
    between = [((5,), True)] * (layers - 1)
    decoder(x[:, :1], context, training=True)
    assert widths == [((1, 3), True), *between, ((1, 5), True)]
    widths.clear()
    decoder.step(
        x[:, :1], tf.constant(0), context, decoder.initial_state(context, 1), training=True
    )
    assert widths == [((3,), True), *between, ((5,), True)]


def test_dropout_in_the_loop_is_drawn_anew_at_every_place():
    decoder, drawn = recurrent(layers=2, dropout=0.4), []
    real = decoder.input_dropout.call

    def note(x, training):
        outputs = real(x, training=training)
        if x.shape[1] != 6:  # inside the loop over 6 places
            tf.py_function(lambda given: drawn.append(given.numpy() == 0), [outputs], [])
        return outputs

    decoder.input_dropout.call = note
    x, context = inputs_of(decoder, length=6), decoder.prepare(seen(), {})
    tf.function(lambda x: decoder(x, context, training=True))(x)
    assert len(drawn) == 6
    assert len({dropped.tobytes() for dropped in drawn}) == 6


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_context_keeps_the_source_and_is_never_repeated(make):
    decoder, source = make(), {"mask": tf.constant(MASK), "copy_ids": tf.zeros([3, 4], tf.int32)}
    context = decoder.prepare(seen(), source)
    assert context["source"].keys() == source.keys()
    leaves = [leaf for leaf in tf.nest.flatten(context) if leaf is not None]
    assert {leaf.shape[0] for leaf in leaves} == {3}
    for leaf in tf.nest.flatten(decoder.initial_state(context, 4)):
        assert leaf.shape[:2] == (3, 4)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_configuration_round_trip(make):
    for options in [{}] + [references.MARIAN] * (make is transformer):
        config = make(**options).get_config()
        assert config.items() >= options.items()
        assert type(make()).from_config(config).get_config() == config
    bridge = Bridge(2, 5, ("h", "c"), "zero").get_config()
    assert Bridge.from_config(bridge).get_config() == bridge


def test_a_decoder_takes_no_cast_of_its_context():
    decoder = RecurrentDecoder(5, dtype="mixed_bfloat16")
    assert isinstance(decoder, Decoder)
    assert not decoder.autocast


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecurrentDecoder(5, cell="rnn"), "cell: expected one of gru, .*, came 'rnn'"),
        (
            lambda: RecurrentDecoder(5, bridge="mean"),
            "bridge: expected 'dense', 'copy' or 'zero', came 'mean'",
        ),
        (lambda: RecurrentDecoder(-5), "units: expected a positive integer, came -5"),
        (lambda: RecurrentDecoder(5, 0), "num_layers: expected a positive integer, came 0"),
        (
            lambda: RecurrentDecoder(5, attention_units=0),
            "attention_units: expected a positive integer, came 0",
        ),
        (lambda: TransformerDecoder(8, 0), "num_layers: expected a positive integer, came 0"),
        (lambda: TransformerDecoder(8, norm="x"), "norm: expected 'pre' or 'post', came 'x'"),
        (lambda: TransformerDecoder(8, num_heads=3), "num_heads: expected a divisor of units"),
        (lambda: TransformerDecoder(5, num_heads=5), "units: expected an even width"),
        (
            lambda: made(TransformerDecoder(8), 4),
            r"inputs: expected target vectors of width 8 \(units\), came 4",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
