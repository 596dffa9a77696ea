"""Sampling by the whole search: against a reference, and frequencies against the model."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_s2s import search
from tests.search import beam_reference, references
from tests.search.beam_reference import RowOptions, RowReference, TableModel
from tests.search.references import END, WORDS
from tests.search.test_sampling import assert_fits

REAL = ("temperature", "top_p", "min_p")
OFF = {"num_samples": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 0}
KINDS = search.SamplingOptions(
    *(tf.TensorSpec([None], tf.float32 if name in REAL else tf.int32) for name in OFF)
)
OPTION_SPECS = [
    beam_reference.option_specs(search.Options),
    KINDS,
    beam_reference.option_specs(search.ConstraintOptions),
]


@tf.function(autograph=False, input_signature=[*beam_reference.MODEL_SPECS, *OPTION_SPECS])
def traced(log_probs, attention, mask, options, sampling_options, constraint_options):
    model = TableModel(log_probs, attention, mask)
    return search.sample(
        model.begin, model.step, model.source, options, sampling_options, constraint_options
    )


def run(model, rows, draws):
    """`search.sample` of lists of `RowOptions` and of dicts of sampling options."""
    options, constraint_options = beam_reference.option_tensors(rows)
    sampling_options = search.SamplingOptions(
        *(
            tf.constant([(OFF | draw)[name] for draw in draws], KINDS[index].dtype)
            for index, name in enumerate(OFF)
        )
    )
    mask = tf.constant(model.source["mask"])
    result = traced(
        model.log_probs, model.attention, mask, options, sampling_options, constraint_options
    )
    return search.Hypotheses(*(x.numpy() for x in result))


def distribution(reference, tokens, draw):
    """Log-probabilities [V] that the next token is drawn by; they need not sum to one."""
    scores = reference.next_scores(tokens)
    values = [scores.get(token, references.NEG_INF) for token in range(references.VOCABULARY)]
    return references.truncate(
        values, *(draw[x] for x in ("temperature", "top_k", "top_p", "min_p"))
    )


def reference_samples(model, row, options, draw):
    """The samples of a row, likeliest first."""
    draw, reference, samples = OFF | draw, RowReference(model, row, options), []
    for number in range(draw["num_samples"]):
        tokens = ()
        while END not in tokens:
            uniform = references.uniform([draw["seed"]], len(tokens), number + 1)[0, number]
            tokens += (references.draw(distribution(reference, tokens, draw), uniform),)
        log_prob = sum(reference.token_log_probs(tokens[:-1]))
        samples.append((log_prob, log_prob, tokens[:-1]))
    return sorted(samples, reverse=True)


@st.composite
def requests(draw):
    count = draw(st.integers(1, 5))
    options = RowOptions(
        beam_size=count,
        num_hypotheses=count,
        max_length=draw(st.integers(0, 6)),
        prefix=tuple(draw(st.lists(st.sampled_from(WORDS), max_size=2))),
        no_repeat_ngram=draw(st.sampled_from([0, 0, 3])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.0, 2.0])),
    )
    if len(options.prefix) > options.max_length:
        options.prefix = ()
    sampling_options = {
        "num_samples": count,
        "temperature": draw(st.sampled_from([1.0, 0.3, 2.5])),
        "top_k": draw(st.sampled_from([0, 0, 1, 2, 3])),
        "top_p": draw(st.sampled_from([1.0, 1.0, 0.8, 0.3, 0.0])),
        "min_p": draw(st.sampled_from([0.0, 0.0, 0.1, 0.6, 1.0])),
        "seed": draw(st.integers(-(2**31), 2**31 - 1)),
    }
    return options, sampling_options


def check_against_reference(seed, rows):
    options, draws = zip(*rows)
    model = beam_reference.random_table(seed, len(rows), 6)
    result = run(model, options, draws)
    for row, (options, draw) in enumerate(rows):
        expected = reference_samples(model, row, options, draw)
        beam_reference.check(result, row, expected, model, options)


SEEDS = st.integers(0, 2**32 - 1)
CASES = {"seed": SEEDS, "rows": st.lists(requests(), min_size=1, max_size=6)}


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(**CASES)
def test_any_samples_in_one_batch_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)


LARGE_CASES = {"seed": SEEDS, "rows": st.lists(requests(), min_size=16, max_size=40)}


@settings(deadline=None, max_examples=12, derandomize=True, database=None)
@given(**LARGE_CASES)
def test_samples_that_leave_a_large_batch_early_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=400, derandomize=True, database=None)
@given(**CASES)
def test_a_great_many_samples_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)


DISTRIBUTIONS = {
    "all": {},
    "cold": {"temperature": 0.5},
    "hot": {"temperature": 2.0},
    "top_k": {"top_k": 2},
    "top_p": {"top_p": 0.75},
    "min_p": {"min_p": 0.25},
    "together": {"temperature": 1.5, "top_k": 3, "top_p": 0.95, "min_p": 0.05},
}
ROWS, SAMPLES = 2000, 6


def probabilities(reference, draw):
    """Of the first token, and of the first two, the second None after the end."""

    def spread(tokens):
        weights = np.exp(distribution(reference, tokens, OFF | draw))
        return {token: x for token, x in enumerate(weights / weights.sum()) if x > 0}

    first, pairs = spread(()), Counter()
    for token, probability in first.items():
        rest = {None: 1.0} if token == END else spread((token,))
        pairs.update({(token, second): probability * x for second, x in rest.items()})
    return first, pairs


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_frequencies_are_those_of_the_distribution(name):
    single = beam_reference.random_table([7, 1], 1, 2, sharpness=0.8)
    model = TableModel(
        *(np.repeat(x, ROWS, 0) for x in (single.log_probs, single.attention)),
        np.repeat(single.source["mask"], ROWS, 0),
    )
    draw = {"num_samples": SAMPLES, **DISTRIBUTIONS[name]}
    options = RowOptions(SAMPLES, SAMPLES, max_length=2)
    result = run(model, [options] * ROWS, [draw | {"seed": seed} for seed in range(ROWS)])
    assert (result.score > references.NEG_INF / 2).all()
    first, pairs = Counter(), Counter()
    for ids, length in zip(result.ids.reshape(ROWS * SAMPLES, -1), result.lengths.ravel()):
        tokens = [*ids[:length].tolist(), END, None][:2]
        first[tokens[0]] += 1
        pairs[tuple(tokens)] += 1
    expected = probabilities(RowReference(single, 0, options), draw)
    for counter, truth in zip((first, pairs), expected):
        assert set(counter) <= set(truth)
        keys = [key for key in truth if truth[key] * ROWS * SAMPLES > 5]
        assert len(keys) > 1
        counts = np.array([counter[key] for key in keys])
        shares = np.array([truth[key] for key in keys])
        assert_fits(counts, counts.sum() * shares / shares.sum())


def test_other_distributions_do_not_fit():
    """The test of frequencies can fail: those of one distribution are not those of another."""
    single = beam_reference.random_table([7, 1], 1, 2, sharpness=0.8)
    reference = RowReference(single, 0, RowOptions(max_length=2))
    pairs = {name: probabilities(reference, draw)[1] for name, draw in DISTRIBUTIONS.items()}
    keys = list(pairs["all"])
    for name in ("cold", "hot"):
        truth, other = (np.array([pairs[x][key] for key in keys]) for x in ("all", name))
        with pytest.raises(AssertionError):
            assert_fits(np.round(ROWS * SAMPLES * other), ROWS * SAMPLES * truth)


def test_a_draw_depends_on_seed_and_position_alone():
    model = beam_reference.random_table(8, 3, 5)
    for name in ("log_probs", "attention"):
        getattr(model, name)[:] = getattr(model, name)[:1]
    model.source["mask"][:] = True
    rows = [RowOptions(n, n, max_length=5) for n in (4, 2, 4)]
    draws = [{"num_samples": n, "seed": seed} for n, seed in ((4, 5), (2, 5), (4, 6))]
    result = run(model, rows, draws)
    four, two, other = (references.hypotheses(result, row) for row in range(3))
    assert {tokens for *_, tokens in two} <= {tokens for *_, tokens in four}
    assert four != other
