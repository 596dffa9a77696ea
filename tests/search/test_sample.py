"""Drawing through the whole search: every draw is the twin's, and frequencies are the model's."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_s2s import search
from tests.search import beam_reference, references
from tests.search.beam_reference import END, WORDS, Row, Table, Wish
from tests.search.test_sampling import assert_fits

REAL = ("temperature", "top_p", "min_p")
OFF = {"num_samples": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 0}
KINDS = search.SamplingOptions(
    *(tf.TensorSpec([None], tf.float32 if name in REAL else tf.int32) for name in OFF)
)
OPTIONS, EXTRAS = (
    beam_reference.specs(search.Options),
    beam_reference.specs(search.ConstraintOptions),
)
MODEL = [beam_reference.NUMBERS, beam_reference.NUMBERS, beam_reference.MASK]


@tf.function(autograph=False, input_signature=[*MODEL, OPTIONS, KINDS, EXTRAS])
def traced(log_probs, attention, mask, options, sampling, extras):
    model = Table(log_probs, attention, mask)
    return search.sample(model.begin, model.step, model.source, options, sampling, extras)


def run(model, wishes, draws):
    """`search.sample` of rows of `Wish` and of what `Sampling` holds."""
    options, extras = beam_reference.tensors(wishes)
    sampling = search.SamplingOptions(
        *(
            tf.constant([(OFF | d)[name] for d in draws], KINDS[place].dtype)
            for place, name in enumerate(OFF)
        )
    )
    mask = tf.constant(model.source["mask"])
    found = traced(model.log_probs, model.attention, mask, options, sampling, extras)
    return search.Hypotheses(*(x.numpy() for x in found))


def shares(row, tokens, draw):
    """What the next token is drawn by, log-probabilities [V] that need not sum to one."""
    ranked = row.ranked(tokens)
    values = [ranked.get(token, references.LOW) for token in range(beam_reference.VOCABULARY)]
    return references.truncate(
        values, *(draw[x] for x in ("temperature", "top_k", "top_p", "min_p"))
    )


def plain_sample(model, place, wish, draw):
    """The draws of a row, likeliest first."""
    draw, row, found = OFF | draw, Row(model, place, wish), []
    for number in range(draw["num_samples"]):
        tokens = ()
        while END not in tokens:
            chance = references.uniform([draw["seed"]], len(tokens), number + 1)[0, number]
            tokens += (references.draw(shares(row, tokens, draw), chance),)
        log_prob = sum(row.each(tokens[:-1]))
        found.append((log_prob, log_prob, tokens[:-1]))
    return sorted(found, reverse=True)


@st.composite
def requests(pick):
    count = pick(st.integers(1, 5))
    wish = Wish(
        beam_size=count,
        num_hypotheses=count,
        max_length=pick(st.integers(0, 6)),
        prefix=tuple(pick(st.lists(st.sampled_from(WORDS), max_size=2))),
        no_repeat_ngram=pick(st.sampled_from([0, 0, 3])),
        repetition_penalty=pick(st.sampled_from([1.0, 1.0, 2.0])),
    )
    if len(wish.prefix) > wish.max_length:
        wish.prefix = ()
    draw = {
        "num_samples": count,
        "temperature": pick(st.sampled_from([1.0, 0.3, 2.5])),
        "top_k": pick(st.sampled_from([0, 0, 1, 2, 3])),
        "top_p": pick(st.sampled_from([1.0, 1.0, 0.8, 0.3, 0.0])),
        "min_p": pick(st.sampled_from([0.0, 0.0, 0.1, 0.6, 1.0])),
        "seed": pick(st.integers(-(2**31), 2**31 - 1)),
    }
    return wish, draw


def agrees(seed, rows):
    wishes, draws = zip(*rows)
    model = beam_reference.table(seed, len(rows), 6)
    found = run(model, wishes, draws)
    for place, (wish, draw) in enumerate(rows):
        beam_reference.check(found, place, plain_sample(model, place, wish, draw), model, wish)


CASES = {"seed": st.integers(0, 2**32 - 1), "rows": st.lists(requests(), min_size=1, max_size=6)}


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(**CASES)
def test_any_draws_side_by_side_are_the_twins(seed, rows):
    agrees(seed, rows)


MANY = {"seed": st.integers(0, 2**32 - 1), "rows": st.lists(requests(), min_size=16, max_size=40)}


@settings(deadline=None, max_examples=12, derandomize=True, database=None)
@given(**MANY)
def test_draws_that_leave_a_large_batch_early_are_the_twins(seed, rows):
    agrees(seed, rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=400, derandomize=True, database=None)
@given(**CASES)
def test_a_great_many_draws_are_the_twins(seed, rows):
    agrees(seed, rows)


WAYS = {
    "all": {},
    "cold": {"temperature": 0.5},
    "hot": {"temperature": 2.0},
    "top_k": {"top_k": 2},
    "top_p": {"top_p": 0.75},
    "min_p": {"min_p": 0.25},
    "together": {"temperature": 1.5, "top_k": 3, "top_p": 0.95, "min_p": 0.05},
}
ROWS, SAMPLES = 2000, 6


def probabilities(row, draw):
    """{first and second token, the second None after the end: probability}."""

    def spread(tokens):
        weights = np.exp(shares(row, tokens, OFF | draw))
        return {token: x for token, x in enumerate(weights / weights.sum()) if x > 0}

    first, found = spread(()), Counter()
    for one, share in first.items():
        rest = {None: 1.0} if one == END else spread((one,))
        found.update({(one, two): share * x for two, x in rest.items()})
    return first, found


@pytest.mark.parametrize("way", WAYS)
def test_frequencies_are_those_of_the_distribution(way):
    one = beam_reference.table([7, 1], 1, 2, sharpness=0.8)
    model = Table(
        *(np.repeat(x, ROWS, 0) for x in (one.log_probs, one.attention)),
        np.repeat(one.source["mask"], ROWS, 0),
    )
    draw = {"num_samples": SAMPLES, **WAYS[way]}
    wish = Wish(SAMPLES, SAMPLES, max_length=2)
    found = run(model, [wish] * ROWS, [draw | {"seed": seed} for seed in range(ROWS)])
    assert (found.score > references.LOW / 2).all()
    first, pairs = Counter(), Counter()
    for ids, length in zip(found.ids.reshape(ROWS * SAMPLES, -1), found.lengths.ravel()):
        tokens = [*ids[:length].tolist(), END, None][:2]
        first[tokens[0]] += 1
        pairs[tuple(tokens)] += 1
    expected = probabilities(Row(one, 0, wish), draw)
    for came, shares_ in zip((first, pairs), expected):
        assert set(came) <= set(shares_)
        keys = [key for key in shares_ if shares_[key] * ROWS * SAMPLES > 5]
        assert len(keys) > 1
        counts = np.array([came[key] for key in keys])
        truth = np.array([shares_[key] for key in keys])
        assert_fits(counts, counts.sum() * truth / truth.sum())


def test_other_distributions_do_not_fit():
    """The test of frequencies can fail: those of one way are not those of another."""
    one = beam_reference.table([7, 1], 1, 2, sharpness=0.8)
    row = Row(one, 0, Wish(max_length=2))
    found = {way: probabilities(row, draw)[1] for way, draw in WAYS.items()}
    keys = list(found["all"])
    for way in ("cold", "hot"):
        truth, other = (np.array([found[x][key] for key in keys]) for x in ("all", way))
        with pytest.raises(AssertionError):
            assert_fits(np.round(ROWS * SAMPLES * other), ROWS * SAMPLES * truth)


def test_a_seed_and_a_position_are_all_that_a_draw_depends_on():
    model = beam_reference.table(8, 3, 5)
    for name in ("log_probs", "attention"):
        getattr(model, name)[:] = getattr(model, name)[:1]
    model.source["mask"][:] = True
    wishes = [Wish(n, n, max_length=5) for n in (4, 2, 4)]
    draws = [{"num_samples": n, "seed": seed} for n, seed in ((4, 5), (2, 5), (4, 6))]
    found = run(model, wishes, draws)
    four, two, other = (beam_reference.hypotheses(found, row) for row in range(3))
    assert {tokens for *_, tokens in two} <= {tokens for *_, tokens in four}
    assert four != other
