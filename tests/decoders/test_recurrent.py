"""The recurrent decoders of the papers, position by position in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import (
    ConditionalDecoder,
    GNMTDecoder,
    LuongDecoder,
    NoAttentionDecoder,
    RecurrentDecoder,
)
from keras_s2s.encoders import Memory
from tests import references
from tests.references import assert_close, linear, normal, randomise, right_padded, run_both

MASK = right_padded([4, 2, 0], 4)
UNITS, WIDTH, MEMORY = 5, 3, 6
STEPS = references.STEPS


def seen():
    values = normal(3, 4, MEMORY, seed=7) * MASK[:, :, None]
    return Memory(*map(tf.constant, (values, MASK, normal(3, MEMORY, seed=8))))


def made(decoder):
    context = {"memory": {"values": (None, None, MEMORY)}}
    decoder.build((None, None, WIDTH), context)
    return randomise(decoder, scale=0.4)


class Reference:
    """One row through a decoder: the state of every layer, and what the layers above do."""

    def __init__(self, decoder, memory, row):
        self.decoder, self.kind = decoder, decoder.cell
        self.values, self.mask = memory.values[row].numpy(), MASK[row]
        self.summary = memory.summary[row].numpy()
        names, count = decoder.cells[0].state_names, decoder.num_layers
        size = count * len(names)
        start = np.zeros(size * UNITS)
        if decoder.bridge == "dense":
            start = np.tanh(linear(decoder.state_bridge.projection, self.summary))
        leaves = iter(np.split(start, size))
        self.states = [{name: next(leaves) for name in names} for _ in range(count)]

    def attend(self, query):
        """Additive, or general for a decoder that says so."""
        attention = self.decoder.attention
        if self.decoder.attention_kind == "general":
            scores = self.values @ np.asarray(attention.key_projection.kernel) @ query
            weights = references.softmax(scores, self.mask)
            return weights @ self.values, weights
        return references.additive_attention(attention, query, self.values, self.mask)

    def move(self, index, gates, cell=None):
        """Layer `index` takes its gates' share of the input; its new output."""
        cell = cell or self.decoder.cells[index]
        self.states[index] = STEPS[self.kind](cell, gates, self.states[index])
        return self.states[index]["h"]

    def above(self, x, more=lambda index: 0.0):
        for index in range(1, self.decoder.num_layers):
            cell = self.decoder.cells[index]
            out = self.move(index, linear(cell.input_projection, x) + more(index))
            first = self.decoder.residual_from
            x = out + x if first is not None and index + 1 >= first else out
        return x


def luong(decoder, memory, row, inputs):
    """Luong et al. 2015: h~ = tanh(W_c [c; h]), fed to the first layer if asked for."""
    r, fed = Reference(decoder, memory, row), np.zeros(UNITS)
    for y in inputs:
        gates = linear(decoder.cells[0].input_projection, y)
        if decoder.input_feeding:
            gates = gates + linear(decoder.feed_projection, fed)
        top = r.above(r.move(0, gates))
        c, weights = r.attend(top)
        fed = np.tanh(linear(decoder.readout, np.concatenate([c, top])))
        yield fed, weights


def gnmt(decoder, memory, row, inputs):
    """Wu et al. 2016: c from the lowest layer's last output, to every layer."""
    r = Reference(decoder, memory, row)
    for y in inputs:
        c, weights = r.attend(r.states[0]["h"])
        more = [linear(layer, c) for layer in decoder.context_projections]
        first = r.move(0, linear(decoder.cells[0].input_projection, y) + more[0])
        yield r.above(first, more.__getitem__), weights


def conditional(decoder, memory, row, inputs):
    """Sennrich et al. 2017: s' = GRU_1(y, s), c = ATT(s'), s = GRU_2(s', c)."""
    r = Reference(decoder, memory, row)
    for y in inputs:
        query = r.move(0, linear(decoder.cells[0].input_projection, y))
        c, weights = r.attend(query)
        top = r.above(r.move(0, linear(decoder.second.input_projection, c), decoder.second))
        yield np.tanh(linear(decoder.readout, np.concatenate([top, c, y]))), weights


def cho(decoder, memory, row, inputs):
    """Cho et al. 2014: h = f(h, y, c), the output of h, y and c, c the summary."""
    r = Reference(decoder, memory, row)
    for y in inputs:
        gates = linear(decoder.cells[0].input_projection, y)
        top = r.above(r.move(0, gates + linear(decoder.context_projection, r.summary)))
        features = np.concatenate([top, r.summary, y])
        yield np.tanh(linear(decoder.readout, features)), np.zeros(4)


def sutskever(decoder, memory, row, inputs):
    """Sutskever et al. 2014: stacked cells."""
    r = Reference(decoder, memory, row)
    for y in inputs:
        yield r.above(r.move(0, linear(decoder.cells[0].input_projection, y))), np.zeros(4)


CASES = {
    "luong fed": (luong, lambda: LuongDecoder(UNITS, 2)),
    "luong": (luong, lambda: LuongDecoder(UNITS, 2, "gru", "additive", False)),
    "luong residual": (luong, lambda: LuongDecoder(UNITS, 3, input_feeding=False, residual_from=2)),
    "gnmt": (gnmt, lambda: GNMTDecoder(UNITS, 4)),
    "gnmt dense": (gnmt, lambda: GNMTDecoder(UNITS, 2, "gru", "general", "dense")),
    "conditional": (conditional, lambda: ConditionalDecoder(UNITS)),
    "conditional deep": (conditional, lambda: ConditionalDecoder(UNITS, 3, residual_from=3)),
    "cho": (cho, lambda: RecurrentDecoder(UNITS, attention="none", residual_from=2)),
    "cho deep": (cho, lambda: RecurrentDecoder(UNITS, 2, "lstm", attention="none")),
    "sutskever": (sutskever, lambda: NoAttentionDecoder(UNITS, 4)),
    "sutskever residual": (sutskever, lambda: NoAttentionDecoder(UNITS, 2, "gru", residual_from=2)),
}
over_cases = pytest.mark.parametrize("case", list(CASES))


@over_cases
def test_against_the_formula(case):
    formula, make = CASES[case]
    decoder, memory, x = made(make()), seen(), normal(3, 5, WIDTH)
    outputs, maps = run_both(lambda x: decoder(x, decoder.prepare(memory, {}), maps="alignment"), x)
    for row in range(3):
        expected, weights = zip(*formula(decoder, memory, row, x[row]), strict=True)
        assert_close((outputs[row], maps["cross"][row, 0]), (np.array(expected), np.array(weights)))


@over_cases
def test_steps_equal_the_whole(case):
    decoder, x = made(CASES[case][1]()), normal(3, 2, 5, WIDTH)  # [B, K, T, D]
    context = decoder.prepare(seen(), {})
    state, outputs, maps = decoder.initial_state(context, 2), [], []
    for t in range(5):
        out, new, weights = decoder.step(x[:, :, t], tf.constant(t), context, state, maps="all")
        tf.nest.assert_same_structure(new, state)
        for leaf, old in zip(tf.nest.flatten(new), tf.nest.flatten(state), strict=True):
            assert (leaf.shape, leaf.dtype) == (old.shape, old.dtype)
        state = new
        outputs.append(out)
        maps.append(weights)
    for k in range(2):
        expected, given = decoder(x[:, k], context, maps="all")
        stepped = tf.stack(outputs, 2)[:, k], tf.concat([m[:, :, k : k + 1] for m in maps], 2)
        assert_close(stepped, (expected, given["cross"]))


@over_cases
def test_configuration_round_trip(case):
    decoder = made(CASES[case][1]())
    config = decoder.get_config()
    again = type(decoder).from_config(config)
    assert again.get_config() == config
    assert [w.shape for w in made(again).weights] == [w.shape for w in decoder.weights]


@over_cases
def test_dropout_in_training_alone(case):
    config = CASES[case][1]().get_config()
    decoder = made(CASES[case][1]().from_config({**config, "dropout": 0.4}))
    x, context = normal(3, 5, WIDTH), decoder.prepare(seen(), {})
    plain = decoder(x, context)[0]
    assert_close(decoder(x, context, training=False)[0], plain, 0)
    assert np.abs(decoder(x, context, training=True)[0] - plain).max() > 1e-2


@pytest.mark.parametrize("case", ["cho", "sutskever"])
def test_without_attention_there_are_no_maps(case):
    decoder = made(CASES[case][1]())
    context = decoder.prepare(seen(), {})
    maps = [decoder(normal(3, 5, WIDTH), context, maps=m)[1] for m in ("none", "alignment", "all")]
    assert maps[0] is None
    assert maps[1]["cross"].shape == (3, 1, 5, 4)
    assert not maps[1]["cross"].numpy().any()
    assert maps[2]["cross"].shape == (3, 0, 5, 4)
    assert not decoder.has_attention
    assert decoder.attention_names == []


def test_every_head_has_a_map_and_their_mean_aligns():
    decoder = made(RecurrentDecoder(8, attention={"kind": "multi_head", "num_heads": 2}))
    x, context = normal(3, 5, WIDTH), decoder.prepare(seen(), {})
    cross = decoder(x, context, maps="all")[1]["cross"]
    assert cross.shape == (3, 2, 5, 4)
    assert decoder.attention_names == ["head 1", "head 2"]
    given = decoder(x, context, maps="alignment")[1]["cross"]
    assert_close(given, tf.reduce_mean(cross, 1, keepdims=True))


def loops(decoder):
    """For each loop of a call, the number of products inside it."""
    x, context = normal(3, 5, WIDTH), decoder.prepare(seen(), {})
    graph = tf.function(lambda x: decoder(x, context)[0]).get_concrete_function(x).graph
    bodies = [
        graph._get_function(op.get_attr("body").name).graph
        for op in graph.get_operations()
        if op.type in ("While", "StatelessWhile")
    ]
    return [
        sum(op.type in ("MatMul", "BatchMatMulV2") for op in b.get_operations()) for b in bodies
    ]


def test_what_does_not_feed_back_stays_out_of_the_loops():
    products = {
        "luong": LuongDecoder(UNITS, 2, input_feeding=False),
        "plain": NoAttentionDecoder(UNITS, 2),
    }
    for decoder in products.values():
        assert loops(made(decoder)) == [1, 1]  # a layer each: its recurrent product alone
    # A context projection, a recurrent product, the attention's query, score and sum.
    assert loops(made(GNMTDecoder(UNITS, 3))) == [5, 1, 1]
    assert loops(made(LuongDecoder(UNITS, input_feeding=True))) == [5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LuongDecoder(5, input_feeding=1), "input_feeding: expected True or False, came 1"),
        (lambda: LuongDecoder(5, attention="lucky"), "attention: expected one of .*, came 'lucky'"),
        (
            lambda: GNMTDecoder(5, residual_from=0),
            "residual_from: expected a positive integer, came 0",
        ),
        (lambda: NoAttentionDecoder(5, cell="rnn"), "cell: expected one of gru, .*, came 'rnn'"),
        (
            lambda: made(LuongDecoder(5, attention="dot")),
            "attention: 'dot' expected a memory of the query's width 5, came 6",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
