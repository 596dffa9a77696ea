"""Draws against plain loops, and their statistics with fixed seeds."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_s2s.search.options import NEG_INF, SamplingOptions
from keras_s2s.search.sampling import draw, truncate, uniform
from tests.search import references

QUICK = settings(deadline=None, max_examples=40, derandomize=True, database=None)
TYPES = SamplingOptions(tf.int32, tf.float32, tf.int32, tf.float32, tf.float32, tf.int32)
REAL, WHOLE = tf.TensorSpec([None, None, None]), tf.TensorSpec([], tf.int32)


def traced(function, *signature):
    return tf.function(function, autograph=False, input_signature=signature)


EAGER = {"uniform": uniform, "truncate": truncate, "draw": draw}
GRAPH = {
    "uniform": traced(uniform, tf.TensorSpec([None], tf.int32), WHOLE, WHOLE),
    "truncate": traced(truncate, REAL, SamplingOptions(*(tf.TensorSpec([None], t) for t in TYPES))),
    "draw": traced(draw, REAL, tf.TensorSpec([None, None])),
}
both = pytest.mark.parametrize("way", [EAGER, GRAPH], ids=["eager", "graph"])
SEEDS = st.integers(-(2**31), 2**31 - 1)


def sampling(temperature, top_k, top_p, min_p):
    rows = len(top_k)
    given = ([1] * rows, temperature, top_k, top_p, min_p, [0] * rows)
    return SamplingOptions(*(tf.constant(value, kind) for value, kind in zip(given, TYPES)))


def chi_square(observed, expected):
    """Pearson's statistic, and what it stays below but once in two thousand (Wilson, Hilferty)."""
    freedom = np.size(observed) - 1
    spread = 2 / (9 * freedom)
    limit = freedom * (1 - spread + 3.29 * math.sqrt(spread)) ** 3
    return np.sum((observed - expected) ** 2 / expected), limit


def assert_fits(observed, expected):
    came, limit = chi_square(observed, expected)
    assert came < limit


def test_the_hash_is_murmurs():
    # MurmurHash3_x86_32 of no bytes is the finaliser of its seed alone.
    assert references.finaliser(1) == 0x514E28B7
    assert references.finaliser(0xFFFFFFFF) == 0x81F16F39


@both
@QUICK
@given(seeds=st.lists(SEEDS, max_size=4), step=st.integers(0, 300), count=st.integers(0, 5))
@example(seeds=[-1, 0, -(2**31), 2**31 - 1], step=0, count=3)
def test_uniform_is_the_hash_of_its_arguments(way, seeds, step, count):
    came = way["uniform"](tf.constant(seeds, tf.int32), step, count)
    assert came.shape == (len(seeds), count)
    np.testing.assert_array_equal(came, references.uniform(seeds, step, count))


def test_uniform_numbers_are_uniform():
    for step in (0, 1, 200):
        numbers = uniform(tf.range(2000), step, 16).numpy()
        assert numbers.min() >= 0
        assert numbers.max() < 1
        assert_fits(np.histogram(numbers, 100, (0, 1))[0], numbers.size / 100)
    last_bits = uniform(tf.range(2000), 7, 16).numpy() * 2**24 % 16
    assert_fits(np.bincount(last_bits.astype(int).ravel(), minlength=16), last_bits.size / 16)


def assert_independent(first, second, bins=10):
    found, _, _ = np.histogram2d(first.ravel(), second.ravel(), bins, [(0, 1), (0, 1)])
    assert_fits(found.ravel(), first.size / bins**2)


def test_seeds_steps_and_samples_are_independent():
    numbers = np.stack([uniform(tf.range(600), step, 16) for step in range(17)])  # [T, B, K]
    for lag in (1, 2, 4, 16):
        assert_independent(numbers[lag:], numbers[:-lag])
    for lag in (1, 2, 4, 16, 256):
        assert_independent(numbers[:, lag:], numbers[:, :-lag])
    for lag in (1, 2, 4, 8):
        assert_independent(numbers[..., lag:], numbers[..., :-lag])
    # The same word as another argument: no mirror images.
    off = ~np.eye(16, dtype=bool)
    assert_independent(numbers[:16, :16][:, :, 0][off], numbers[:16, :16, 0].T[off], 4)
    assert_independent(numbers[:16, 5][off], numbers[:16, 5].T[off], 4)


@st.composite
def distributions(pick):
    """Log-probabilities [B, K, V], some forbidden and some equal, and a `SamplingOptions`."""
    random = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
    rows, width = (pick(st.integers(0, 3)) for _ in range(2))
    size = pick(st.integers(1, 12))
    logits = random.normal(0, pick(st.sampled_from([0.5, 3.0])), (rows, width, size))
    if pick(st.booleans()):
        logits = np.round(logits)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    share = pick(st.sampled_from([0.0, 0.3, 1.0]))
    log_probs[random.random(log_probs.shape) < share] = NEG_INF

    def each(*values):
        return pick(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))

    options = sampling(
        each(1.0, 0.01, 0.7, 100.0),
        each(0, 1, 2, 5, 2**30),
        each(1.0, 0.0, 0.35, 0.9, 0.999),
        each(0.0, 0.05, 0.4, 1.0),
    )
    return tf.constant(log_probs, tf.float32), options


@both
@QUICK
@given(case=distributions())
def test_truncated_is_what_the_definitions_say(way, case):
    log_probs, options = case
    came = way["truncate"](log_probs, options).numpy()
    assert came.shape == log_probs.shape
    for b, k in np.ndindex(came.shape[:2]):
        given = [float(value[b]) for value in options[1:5]]
        expected = references.truncate(log_probs[b, k].numpy(), *given)
        np.testing.assert_allclose(came[b, k], expected, rtol=1e-5)
        np.testing.assert_array_equal(came[b, k] == NEG_INF, np.equal(expected, NEG_INF))


@QUICK
@given(case=distributions())
def test_a_row_does_not_depend_on_its_neighbours(case):
    log_probs, options = case
    came = GRAPH["truncate"](log_probs, options)
    for row in range(len(log_probs)):
        one = slice(row, row + 1)
        alone = GRAPH["truncate"](
            log_probs[one], SamplingOptions(*(value[one] for value in options))
        )
        np.testing.assert_array_equal(alone, came[one])


@both
@pytest.mark.parametrize(
    "options, kept",
    [
        ((1.0, 0, 1.0, 0.0), {1, 2, 3, 4, 5}),
        ((1.0, 1, 1.0, 0.0), {1}),
        ((1.0, 2, 1.0, 0.0), {1, 2, 3}),  # the second and the third are equal
        ((1.0, 9, 1.0, 0.0), {1, 2, 3, 4, 5}),
        ((1.0, 0, 0.0, 0.0), {1}),
        ((1.0, 0, 0.39, 0.0), {1}),
        ((1.0, 0, 0.41, 0.0), {1, 2, 3}),
        ((1.0, 2, 0.49, 0.0), {1}),  # 0.4 of the 0.8 that are left
        ((1.0, 0, 0.81, 0.0), {1, 2, 3, 4}),
        ((1.0, 0, 1.0, 0.49), {1, 2, 3}),
        ((1.0, 0, 1.0, 1.0), {1}),
        ((0.5, 0, 1.0, 0.3), {1}),  # the squares: 0.16 and 0.04
        ((0.5, 0, 1.0, 0.05), {1, 2, 3, 4}),
        ((2.0, 0, 1.0, 0.3), {1, 2, 3, 4, 5}),
    ],
)
def test_truncation_by_hand(way, options, kept):
    log_probs = np.array([NEG_INF, *np.log([0.4, 0.2, 0.2, 0.12, 0.08])], "float32")
    came = way["truncate"](tf.constant(log_probs[None, None]), sampling(*([x] for x in options)))
    assert set(np.flatnonzero(came.numpy() > NEG_INF).tolist()) == kept


@both
@QUICK
@given(case=distributions(), bits=st.integers(0, 2**32 - 1))
def test_drawn_is_what_the_definition_says(way, case, bits):
    log_probs, _ = case
    random = np.random.default_rng(bits)
    numbers = random.integers(0, 2**24, log_probs.shape[:2]) / 2**24
    came = way["draw"](log_probs, tf.constant(numbers, tf.float32)).numpy()
    assert came.shape == numbers.shape
    for b, k in np.ndindex(numbers.shape):
        assert came[b, k] == references.draw(log_probs[b, k].numpy(), numbers[b, k])


@both
@pytest.mark.parametrize("size", [127, 128, 129, 1000])
def test_drawn_from_a_large_vocabulary(way, size):
    random = np.random.default_rng(size)
    log_probs = np.log(random.dirichlet([0.3] * size, (3, 4))).astype("float32")
    log_probs[random.random(log_probs.shape) < 0.5] = NEG_INF
    log_probs[0, :, : size - 1] = NEG_INF
    numbers = random.integers(0, 2**24, (3, 4)) / 2**24
    came = way["draw"](tf.constant(log_probs), tf.constant(numbers, tf.float32)).numpy()
    for place in np.ndindex(numbers.shape):
        assert came[place] == references.draw(log_probs[place], numbers[place])


@both
@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-24])
@pytest.mark.parametrize("size, share", [(40, 0.7), (400, 0.7), (400, 0.99)])
def test_the_ends_of_the_interval_draw_possible_tokens(way, number, size, share):
    random = np.random.default_rng(0)
    log_probs = random.normal(-3, 2, (50, 8, size)).astype("float32")
    log_probs[random.random(log_probs.shape) < share] = NEG_INF
    log_probs[..., [0, -1]] = NEG_INF
    log_probs[..., size // 2] = -3.0
    came = way["draw"](tf.constant(log_probs), tf.fill([50, 8], number)).numpy()
    possible = log_probs > NEG_INF
    ends = possible.argmax(2) if number == 0 else size - 1 - possible[..., ::-1].argmax(2)
    np.testing.assert_array_equal(came, ends)


@both
def test_each_number_belongs_to_one_token(way):
    log_probs = tf.fill([1, 5, 4], math.log(0.25))
    came = way["draw"](log_probs, tf.constant([[0.0, 0.2499, 0.25, 0.5, 0.75]]))
    np.testing.assert_array_equal(came, [[0, 0, 1, 2, 3]])


def test_drawn_tokens_have_their_frequencies():
    truth = np.array([0.0, 0.35, 0.002, 0.0, 0.098, 0.25, 0.3, 0.0])
    with np.errstate(divide="ignore"):
        log_probs = np.maximum(np.log(truth), NEG_INF).astype("float32")
    draws = 20000
    shared = tf.broadcast_to(tf.constant(log_probs), [draws // 4, 4, 8])
    for step in (0, 3):
        came = draw(shared, uniform(tf.range(draws // 4) - 100, step, 4))
        counts = np.bincount(came.numpy().ravel(), minlength=8)
        assert not counts[truth == 0].any()
        assert_fits(counts[truth > 0], draws * truth[truth > 0])


def test_truncated_draws_have_the_frequencies_of_what_is_left():
    log_probs = tf.math.log(tf.constant([0.05, 0.5, 0.3, 0.15]))
    shared = tf.broadcast_to(log_probs, [20000, 1, 4])
    options = sampling([0.5] * 20000, [3] * 20000, [1.0] * 20000, [0.0] * 20000)
    came = draw(truncate(shared, options), uniform(tf.range(20000), 1, 1))
    squares = np.array([0.5, 0.3, 0.15]) ** 2
    counts = np.bincount(came.numpy().ravel(), minlength=4)
    assert counts[0] == 0
    assert_fits(counts[1:], 20000 * squares / squares.sum())
