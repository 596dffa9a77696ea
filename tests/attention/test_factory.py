"""The attention of recurrent decoders against the papers' formulas, position after position."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.attention import (
    ATTENTIONS,
    CoverageAttention,
    DotAttention,
    GatedAttention,
    LinearAttention,
    LocationAttention,
    MonotonicAttention,
    MultiHeadAttention,
    NoAttention,
    make_attention,
)
from keras_s2s.encoders import Memory, masked_mean
from tests import references
from tests.references import (
    assert_close,
    linear,
    normal,
    randomise,
    right_padded,
    sigmoid,
    softmax,
)

MASK = right_padded([5, 3, 0], 5)  # full, padded, empty
K, POSITIONS, QUERY, WIDTH = 2, 4, 4, 6


def made(layer, query=QUERY, width=WIDTH):
    layer.build((None, None, query), None, (None, None, width))
    return randomise(layer)


def walked(layer, width=WIDTH, query=QUERY, training=False, policy="float32"):
    """What a layer gives of K hypotheses at POSITIONS positions: queries, memory, contexts
    [P, B, K, D], weights [P, B, A, K, M]."""
    values = tf.cast(normal(3, 5, width, seed=1), layer.compute_dtype)
    memory = Memory(values, tf.constant(MASK), tf.constant(normal(3, width, seed=2)))
    known = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
    state = tf.nest.map_structure(
        lambda x: tf.reshape(x, [3 * K, -1]), layer.initial_state(known, K)
    )
    queries = normal(POSITIONS, 3, K, query, seed=3)
    attend = tf.function(lambda q, s: layer.attend(q, (3, K), known, s, training))
    contexts, weights = [], []
    for position in range(POSITIONS):
        flat = tf.cast(queries[position].reshape(3 * K, query), layer.compute_dtype)
        seen, given, state = attend(flat, state)
        contexts.append(np.array(seen, "float32").reshape(3, K, -1))
        weights.append(given.numpy())
    return queries, memory, np.array(contexts), np.array(weights)


def check(layer, formula, queries, memory, contexts, weights):
    """`formula(queries [P, D], values [M, D], mask)` gives contexts [P, D] and weights [P, M]."""
    for b, k in np.ndindex(3, K):
        expected = formula(queries[:, b, k], memory.values[b].numpy(), MASK[b])
        assert_close((contexts[:, b, k], weights[:, b, 0, k]), expected)
    assert not weights[:, 2].any()


def by_scores(score):
    """A formula whose weights are the softmax of the scores of every place."""

    def formula(queries, values, mask):
        weights = [softmax(np.array([score(q, v) for v in values]), mask) for q in queries]
        return np.array(weights) @ values, np.array(weights)

    return formula


def test_dot():
    layer = made(DotAttention("dot"), width=QUERY)
    check(layer, by_scores(lambda q, v: q @ v), *walked(layer, QUERY))


def test_scaled():
    layer = made(DotAttention("scaled"), width=QUERY)
    check(layer, by_scores(lambda q, v: q @ v / 2), *walked(layer, QUERY))


def test_general():
    layer = made(DotAttention("general"))
    kernel = np.asarray(layer.key_projection.kernel)  # [D_m, D_q]
    check(layer, by_scores(lambda q, v: q @ kernel.T @ v), *walked(layer))
    assert not layer.key_projection.use_bias


def test_linear_form():
    layer = made(LinearAttention())
    of_query, of_place = layer.query_projection, layer.key_projection

    def score(q, v):
        return (linear(of_place, v) + linear(of_query, q))[0]

    given = walked(layer)
    check(layer, by_scores(score), *given)
    weights = given[-1]  # the query's share is gone
    assert_close(weights[1:], np.broadcast_to(weights[:1], weights[1:].shape))


def test_coverage():
    layer = made(CoverageAttention(7))

    def formula(queries, values, mask):
        coverage, weights = np.zeros(len(values)), []
        for q in queries:
            scores = [
                linear(
                    layer.score,
                    np.tanh(
                        linear(layer.query_projection, q)
                        + linear(layer.key_projection, v)
                        + coverage[j] * np.asarray(layer.feature.kernel)[0]
                    ),
                )[0]
                for j, v in enumerate(values)
            ]
            weights.append(softmax(np.array(scores), mask))
            coverage = coverage + weights[-1]
        return np.array(weights) @ values, np.array(weights)

    check(layer, formula, *walked(layer))


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_location(size, cumulative):
    layer = made(LocationAttention(7, 2, size, cumulative))
    filters = np.asarray(layer.convolution.kernel)[:, 0]  # [size, F]

    def convolved(past, place):
        reach = range(-(size // 2), size // 2 + 1)
        return sum(
            filters[size // 2 + i] * past[place + i] for i in reach if 0 <= place + i < len(past)
        )

    def formula(queries, values, mask):
        past, weights = np.zeros(len(values)), []
        for q in queries:
            scores = [
                linear(
                    layer.score,
                    np.tanh(
                        linear(layer.query_projection, q)
                        + linear(layer.key_projection, v)
                        + linear(layer.feature, convolved(past, j))
                    ),
                )[0]
                for j, v in enumerate(values)
            ]
            weights.append(softmax(np.array(scores), mask))
            past = past + weights[-1] if cumulative else weights[-1]
        return np.array(weights) @ values, np.array(weights)

    check(layer, formula, *walked(layer))


def stopping(layer, q, values, mask):
    """Raffel et al. 2017, equations 16 and 7: the chance to stop at every place."""
    vector = np.asarray(layer.score.kernel)[:, 0]
    hidden = linear(layer.query_projection, q) + linear(layer.key_projection, values)
    energy = np.tanh(hidden) @ vector / np.sqrt((vector**2).sum())
    return sigmoid(float(layer.gain) * energy + float(layer.bias)) * mask


def monotonic():
    layer = made(MonotonicAttention(7, noise=0.0))
    layer.gain.assign(3.0)
    layer.bias.assign(0.3)
    return layer


def test_monotonic_is_hard_in_decoding():
    layer, moved = monotonic(), set()

    def formula(queries, values, mask):
        place, weights = 0, []
        for q in queries:
            chances = stopping(layer, q, values, mask)
            while place < len(values) and chances[place] < 0.5:
                place += 1
            moved.add(place)
            weights.append(np.arange(len(values)) == place)
        return np.array(weights) @ values, np.array(weights, float)

    check(layer, formula, *walked(layer))
    assert len(moved) > 2
    assert len(MASK[0]) in moved  # someone walked past the end


def test_monotonic_is_the_expectation_in_training():
    layer = monotonic()

    def formula(queries, values, mask):
        before, weights = np.eye(len(values))[0], []
        for q in queries:
            chances, here = stopping(layer, q, values, mask), np.zeros(len(values))
            for start, place in zip(*np.triu_indices(len(values)), strict=True):
                passed = np.prod(1 - chances[start:place])
                here[place] += before[start] * passed * chances[place]
            weights.append(here)
            before = here
        return np.array(weights) @ values, np.array(weights)

    given = walked(layer, training=True)
    check(layer, formula, *given)
    assert given[-1].sum(-1).max() <= 1 + 1e-6


def test_soft_weights_are_the_mean_of_hard_walks():
    layer, draws, random = monotonic(), 20000, np.random.default_rng(0)
    queries, memory, _, weights = walked(layer, training=True)
    places, values = np.zeros(draws, int), memory.values[0].numpy()
    for position, q in enumerate(queries[:, 0, 0]):
        chances = stopping(layer, q, values, MASK[0])
        for i in range(draws):
            while places[i] < len(values) and random.random() >= chances[places[i]]:
                places[i] += 1
        counts = np.bincount(places, minlength=len(values) + 1)[: len(values)]
        np.testing.assert_allclose(weights[position, 0, 0, 0], counts / draws, atol=0.015)


def test_monotonic_noise_in_training_alone():
    layer = made(MonotonicAttention(7, noise=2.0))
    hard = [walked(layer)[-1] for _ in range(2)]
    soft = [walked(layer, training=True)[-1] for _ in range(2)]
    assert_close(hard[0], hard[1], 0)
    assert np.abs(soft[0] - soft[1]).max() > 0.05
    assert set(np.unique(hard[0])) <= {0.0, 1.0}


def test_a_fresh_monotonic_layer_has_its_offset():
    layer = MonotonicAttention(16, offset=-4.0)
    layer.build((None, None, 4), None, (None, None, 6))
    assert float(layer.bias) == -4
    assert float(layer.gain) == 0.25


@pytest.mark.parametrize("source_units", [None, 2])
def test_gated(source_units):
    layer = made(GatedAttention(7, source_units))

    def formula(queries, values, mask):
        hidden = values if source_units is None else values[:, :-source_units]
        inputs = values if source_units is None else values[:, -source_units:]
        past, contexts, weights = np.zeros(hidden.shape[1]), [], []
        for q in queries:
            gates = []
            for x in inputs:
                inner = linear(layer.context_projection, past) + linear(layer.source_projection, x)
                z = linear(layer.mixing, np.tanh(inner))
                gates.append(sigmoid(linear(layer.gate, z) + linear(layer.query_gate, q))[0])
            weights.append(softmax(np.array(gates), mask))
            past = weights[-1] @ hidden
            contexts.append(past)
        return np.array(contexts), np.array(weights)

    check(layer, formula, *walked(layer))


def test_multi_head():
    layer = made(MultiHeadAttention(8, 2))
    queries, memory, contexts, weights = walked(layer)
    for p, b in np.ndindex(POSITIONS, 3):
        expected = references.cross_attention(
            layer.cross, queries[p, b], memory.values[b].numpy(), MASK[b]
        )
        assert_close((contexts[p, b], weights[p, b]), expected)
    assert layer.map_names == ("head 1", "head 2")


def test_none_is_the_summary_at_every_position():
    layer = made(NoAttention())
    _, memory, contexts, weights = walked(layer)
    assert_close(contexts, np.broadcast_to(memory.summary[:, None], contexts.shape), 0)
    assert not weights.any()
    assert not layer.has_attention


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_called_as_a_layer_it_stands_at_the_first_position(kind):
    layer = made(make_attention(kind, 8), 8, 8)
    values, queries = tf.constant(normal(3, 5, 8)), tf.constant(normal(3, K, 8, seed=3))
    mean = masked_mean(values, tf.constant(MASK))
    memory = Memory(values, tf.constant(MASK), mean)
    known = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
    state = layer.initial_state(known, K)
    state = tf.nest.map_structure(lambda x: tf.reshape(x, [3 * K, -1]), state)
    seen, weights, _ = layer.attend(tf.reshape(queries, [3 * K, 8]), (3, K), known, state)
    alone = kind in ("multi_head", "none")
    arguments = (values,) if alone else (layer.project(values), values)
    called, maps = layer(queries, *arguments, mask=memory.mask)
    weights = weights if kind == "multi_head" else weights[:, 0]
    assert_close((tf.reshape(called, [3 * K, -1]), maps), (seen, weights), 1e-6)
    everywhere = layer(queries, *arguments)
    assert_close(everywhere, layer(queries, *arguments, mask=tf.ones([3, 5], tf.bool)), 0)


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_weights_are_float32_in_half_precision(kind):
    layer = made(make_attention(kind, 8, dtype="mixed_bfloat16"), 8, 8)
    _, _, contexts, weights = walked(layer, 8, 8)
    assert weights.dtype == np.float32
    wide = made(make_attention(kind, 8), 8, 8)
    np.testing.assert_allclose(contexts, walked(wide, 8, 8)[2], atol=0.25)


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_every_weight_learns(kind):
    layer = made(make_attention(kind, 8), 8, 8)
    values = tf.constant(normal(3, 5, 8))
    memory = Memory(values, tf.constant(MASK), tf.zeros([3, 8]))
    with tf.GradientTape() as tape:
        known = {"values": values, "mask": memory.mask, **layer.prepare(memory)}
        state, total = layer.initial_state(known, 1), 0.0
        state = tf.nest.map_structure(lambda x: tf.reshape(x, [3, -1]), state)
        for position in range(3):
            query = normal(3, 8, seed=position)
            seen, _, state = layer.attend(query, (3, 1), known, state, training=True)
            total += tf.reduce_sum(seen * normal(3, seen.shape[-1], seed=9))
    gradients = tape.gradient(total, layer.trainable_variables)
    silent = {id(w) for w in layer.query_projection.weights} if kind == "linear" else set()
    for weight, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all(), weight.path
        if id(weight) not in silent:
            assert np.abs(gradient).max() > 1e-6, weight.path


@pytest.mark.parametrize("kind", list(ATTENTIONS))
def test_configuration_round_trip(kind):
    layer = make_attention(kind, 8)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_attention("locations", 4),
            "attention: expected one of additive, .*, came 'locations'; the nearest is 'location'",
        ),
        (lambda: make_attention({"filters": 3}, 4), "attention: expected one of .*, came None"),
        (lambda: make_attention(["dot"], 4), r"attention: expected one of .*, came \['dot'\]"),
        (
            lambda: make_attention({"kind": "location", "filter": 3}, 4),
            "attention.filter: unknown key of 'location', expected one of units, filters,",
        ),
        (
            lambda: make_attention({"kind": "dot", "form": "general"}, 4),
            "attention.form: unknown key of 'dot', expected none",
        ),
        (lambda: DotAttention("cosine"), "form: expected 'dot', 'scaled' or 'general', came"),
        (
            lambda: made(DotAttention("scaled")),
            "attention: 'scaled' expected a memory of the query's width 4, came 6; use 'general'",
        ),
        (lambda: LocationAttention(4, 0), "filters: expected a positive integer, came 0"),
        (lambda: MultiHeadAttention(8, 3), r"num_heads: expected a divisor of units \(8\), came 3"),
        (
            lambda: made(GatedAttention(4, 6)),
            "source_units: expected fewer than the memory's width 6, came 6",
        ),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
