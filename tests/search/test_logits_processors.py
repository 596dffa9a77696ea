"""What a search ranks by against plain loops over tokens."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_s2s.search.logits_processors import ATTENTION_FLOOR, adjust, coverage
from keras_s2s.search.options import NEG_INF, ConstraintOptions, no_constraints
from tests.search import references

QUICK = settings(deadline=None, max_examples=40, derandomize=True, database=None)
COUNTS = (
    "no_repeat_ngram",
    "prefix",
    "prefix_length",
    "disallowed",
    "constraints",
    "beam_groups",
    "alternatives_at",
)
RANKS = {"prefix": 2, "disallowed": 3, "constraints": 3}
SPECS = ConstraintOptions(
    *(
        tf.TensorSpec([None] * RANKS.get(name, 1), tf.int32 if name in COUNTS else tf.float32)
        for name in ConstraintOptions._fields
    )
)
SCORES = tf.TensorSpec([None, None, None], tf.float32)
HISTORY = tf.TensorSpec([None, None, None], tf.int32)
WAYS = {
    "eager": adjust,
    "graph": tf.function(
        adjust,
        autograph=False,
        input_signature=[SCORES, HISTORY, tf.TensorSpec([], tf.int32), SPECS],
    ),
}


def extras(rows, **given):
    found = no_constraints(rows)._replace(**given)
    return ConstraintOptions(
        *(np.array(value, spec.dtype.as_numpy_dtype) for value, spec in zip(found, SPECS))
    )


def run(way, log_probs, history, options):
    given = [tf.constant(log_probs, tf.float32), tf.constant(history, tf.int32)]
    return WAYS[way](
        *given, history.shape[2], ConstraintOptions(*map(tf.constant, options))
    ).numpy()


def log_probs_of(random, *shape):
    return np.log(random.dirichlet([1.0] * shape[-1], shape[:-1])).astype("float32")


def sequences(random, rows, count, longest, size):
    """Ids [rows, count, longest], each padded on the right to a length of its own."""
    lengths = random.integers(0, longest + 1, (rows, count, 1))
    return random.integers(1, size, (rows, count, longest)) * (np.arange(longest) < lengths)


@st.composite
def cases(pick):
    """Few different tokens and many steps: all sorts of repetitions."""
    random = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
    rows, width, steps = (pick(st.integers(0, most)) for most in (3, 3, 18))
    size = pick(st.integers(2, 7))
    each = {"min_size": rows, "max_size": rows}
    prefix = pick(st.integers(0, 20))
    options = extras(
        rows,
        repetition_penalty=pick(st.lists(st.sampled_from([1.0, 1.2, 0.5, 100.0]), **each)),
        no_repeat_ngram=pick(st.lists(st.sampled_from([0, 1, 2, 3, 4, 16]), **each)),
        prefix=random.integers(1, size, (rows, prefix)),
        prefix_length=pick(st.lists(st.integers(0, prefix), **each)),
        disallowed=sequences(random, rows, *pick(st.tuples(*[st.integers(0, 4)] * 2)), size),
    )
    history = random.integers(0, size, (rows, width, steps))
    return log_probs_of(random, rows, width, size), history, options


@pytest.mark.parametrize("way", WAYS)
@QUICK
@given(case=cases())
def test_adjusted_is_what_the_definitions_say(way, case):
    log_probs, history, options = case
    came = run(way, *case)
    expected = references.adjust(log_probs, history, history.shape[2], options)
    np.testing.assert_allclose(came, expected, rtol=1e-6)
    np.testing.assert_array_equal(came == NEG_INF, expected == NEG_INF)


@QUICK
@given(case=cases())
def test_a_row_does_not_depend_on_its_neighbours(case):
    log_probs, history, options = case
    came = run("graph", *case)
    for row in range(len(log_probs)):
        one = slice(row, row + 1)
        own = ConstraintOptions(*(value[one] for value in options))
        np.testing.assert_array_equal(run("graph", log_probs[one], history[one], own), came[one])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(2, 3, 5), (0, 3, 5), (2, 0, 5), (2, 3, 0)])
def test_nothing_asked_for_changes_nothing(way, shape):
    random = np.random.default_rng(0)
    log_probs = log_probs_of(random, *shape[:2], 6)
    came = run(way, log_probs, random.integers(0, 6, shape), extras(shape[0]))
    np.testing.assert_array_equal(came, log_probs)


def test_known_shapes_without_any_wish_can_be_traced():
    log_probs = log_probs_of(np.random.default_rng(0), 2, 3, 6)
    history, none = tf.zeros([2, 3, 0], tf.int32), no_constraints(2)
    traced = tf.function(lambda: adjust(tf.constant(log_probs), history, 0, none), autograph=False)
    np.testing.assert_array_equal(traced(), log_probs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [1, 2, 9, 15, 16])
def test_no_repeat_ngram_of_every_length(way, n):
    # 4 5 6 4 5 6 ...: the next token completes a repeated n-gram as soon as there was a whole one.
    for steps in (n - 1, n, n + 1, n + 2, n + 3, n + 4):
        history = 4 + np.arange(steps).reshape(1, 1, -1) % 3
        came = run(way, np.zeros([1, 1, 8]), history, extras(1, no_repeat_ngram=[n]))
        next_one = 4 + steps % 3
        if n > 1:
            expected = {next_one} if steps >= n + 2 else set()
        else:
            expected = set(history.ravel().tolist())
        assert set(np.flatnonzero(came == NEG_INF).tolist()) == expected, steps


@pytest.mark.parametrize("way", WAYS)
def test_disallowed_sequences_by_hand(way):
    disallowed = [[[7, 0, 0], [5, 6, 0], [4, 5, 3], [4, 6, 1], [0, 0, 0]]]
    expected = {(): {7}, (5,): {6, 7}, (4, 5): {3, 6, 7}, (6, 4): {7}, (5, 4, 6): {1, 7}}
    for tokens, never in expected.items():
        history = np.array(tokens, int).reshape(1, 1, -1)
        came = run(way, np.zeros([1, 1, 9]), history, extras(1, disallowed=disallowed))
        assert set(np.flatnonzero(came == NEG_INF).tolist()) == never, tokens


@pytest.mark.parametrize("way", WAYS)
def test_a_prefix_is_never_forbidden_and_pays_for_its_repetitions(way):
    log_probs = log_probs_of(np.random.default_rng(1), 3, 2, 6)
    wishes = extras(
        3,
        repetition_penalty=[5.0] * 3,
        no_repeat_ngram=[1] * 3,
        disallowed=[[[3]]] * 3,
        prefix=[[3, 3, 0], [3, 4, 3], [3, 0, 0]],
        prefix_length=[2, 3, 1],
    )
    came = run(way, log_probs, np.full([3, 2, 1], 3), wishes)
    for row, (token, factor) in enumerate([(3, 5.0), (4, 1.0)]):
        np.testing.assert_allclose(came[row, :, token], factor * log_probs[row, :, token])
        assert (np.delete(came[row], token, 1) == NEG_INF).all()
    assert (came[2, :, 3] == NEG_INF).all()
    np.testing.assert_array_equal(np.delete(came[2], 3, 1), np.delete(log_probs[2], 3, 1))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_forbidden_already_stays_so(way):
    log_probs = np.full([1, 1, 5], -1.0)
    log_probs[..., 3] = NEG_INF
    for penalty in (0.01, 100.0):
        wishes = extras(1, repetition_penalty=[penalty])
        came = run(way, log_probs, np.array([[[3, 4, 3, 4]]]), wishes)
        np.testing.assert_allclose(came[0, 0], [-1.0, -1.0, -1.0, NEG_INF, -penalty])


@st.composite
def attentions(pick):
    random = np.random.default_rng(pick(st.integers(0, 2**32 - 1)))
    rows, width, length = (pick(st.integers(0, most)) for most in (3, 3, 6))
    sums = random.gamma(0.5, 1.0, (rows, width, length)) * random.integers(0, 2, length)
    mask = np.arange(length) < random.integers(0, length + 1, (rows, 1))
    return sums.astype("float32"), mask, random.choice([0.0, 0.2, 10.0], rows).astype("float32")


@pytest.mark.parametrize("graph", [False, True])
@QUICK
@given(case=attentions())
def test_coverage_is_what_the_definition_says(graph, case):
    come = (TRACED if graph else coverage)(*map(tf.constant, case))
    np.testing.assert_allclose(come, references.coverage(*case, ATTENTION_FLOOR), rtol=1e-5)


TRACED = tf.function(
    coverage,
    autograph=False,
    input_signature=[SCORES, tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None])],
)
