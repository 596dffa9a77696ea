"""Search with every option against exhaustive search and against the reference in lists."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import constraint_reference
from tests.search.beam_reference import (
    RowOptions,
    RowReference,
    check,
    random_table,
    reference_search,
    run_search,
)
from tests.search.references import END, WORDS, hypotheses

EACH_OPTION = {
    "length_penalty": {"length_penalty": 1.3},
    "negative": {"length_penalty": -0.7},
    "length_offset": {"length_penalty": 0.8, "length_offset": 0.0},
    "coverage_penalty": {"coverage_penalty": 0.4},
    "min_length": {"min_length": 2},
    "min_above_max": {"min_length": 3, "max_length": 2},
    "no_repeat_ngram": {"no_repeat_ngram": 1},
    "no_repeat_bigram": {"no_repeat_ngram": 2},
    "repetition_penalty": {"repetition_penalty": 1.7},
    "repetition_reward": {"repetition_penalty": 0.2},
    "prefix": {"prefix": (5, 1)},
    "disallowed": {"disallowed": ((4,), (5, 5), (1, 5, 1))},
    "constraints": {"constraints": ((4,), (5, 4))},
    "in_prefix": {"prefix": (5, 4, 1), "constraints": ((5, 4), (4, 1))},
    "begun": {"prefix": (5, 4), "constraints": ((4, 5),)},
    "max_length": {"max_length": 1},
}
ALL_OPTIONS = {
    "length_penalty": 0.9,
    "length_offset": 2.0,
    "coverage_penalty": 0.3,
    "min_length": 1,
    "no_repeat_ngram": 2,
    "repetition_penalty": 1.4,
    "prefix": (5,),
    "disallowed": ((1, 1), (5, 5)),
    "constraints": ((4,),),
}
OPTION_SETS = {"none": {}, **EACH_OPTION, "all": ALL_OPTIONS}


def exhaustive(model, row, options):
    """Every possible sequence, best first."""
    reference, sequences = RowReference(model, row, options), []

    def has_room(tokens):
        needed = constraint_reference.needed(reference, tokens)
        return len(tokens) <= len(options.prefix) or needed <= options.max_length - len(tokens)

    for length in range(options.max_length + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            total = reference.total(tokens)
            # A live hypothesis always has room for the tokens that it needs.
            is_possible = all(has_room(tokens[:i]) for i in range(1, length + 1))
            is_possible &= not constraint_reference.unmet(reference, tokens)
            if total is not None and is_possible:
                sequences.append(reference.hypothesis(total, tokens))
    return sorted(sequences, reverse=True)


@pytest.mark.parametrize("graph", [False, True])
def test_a_beam_as_wide_as_the_space_is_exhaustive_with_every_option(graph):
    rows = [RowOptions(40, 40, **options) for options in OPTION_SETS.values()]
    model = random_table(1, len(rows), 3)
    result, counts = run_search(model, rows, graph), {}
    for row, (name, options) in enumerate(zip(OPTION_SETS, rows)):
        expected = exhaustive(model, row, options)
        check(result, row, expected, model, options)
        counts[name] = len(expected)
    assert counts["none"] == counts["repetition_penalty"] == 40
    assert all(count > 0 for count in counts.values())
    assert max(counts["all"], counts["constraints"]) < 40


def test_each_option_changes_the_result():
    names = [name for name in OPTION_SETS if name != "none"]
    model = random_table(2, 1, 3)
    alone = exhaustive(model, 0, RowOptions(40, 40))
    for name in names:
        assert exhaustive(model, 0, RowOptions(40, 40, **OPTION_SETS[name])) != alone, name


def test_a_repetition_penalty_changes_the_ranking_and_not_the_log_prob():
    model, options = random_table(3, 1, 3), RowOptions(40, 40, repetition_penalty=3.0)
    without = hypotheses(run_search(model, [RowOptions(40, 40)]), 0)
    log_probs = {tokens: log_prob for _, log_prob, tokens in without}
    actual = hypotheses(run_search(model, [options]), 0)
    assert any(score < log_prob - 0.1 for score, log_prob, _ in actual)
    for score, log_prob, tokens in actual:
        assert log_prob == pytest.approx(log_probs[tokens], abs=1e-5)
        has_repetition = len(set(tokens)) < len(tokens)
        assert (score < log_prob - 1e-4) == has_repetition


def test_impossible_options_leave_no_hypothesis():
    rows = [
        RowOptions(prefix=(4, 5), max_length=1),
        RowOptions(disallowed=((1,), (4,), (5,)), min_length=1),
        RowOptions(constraints=((4, 5), (5, 1)), max_length=3),
        RowOptions(no_repeat_ngram=1, min_length=4, max_length=5),
        RowOptions(constraints=((4,),), disallowed=((4,),)),
        RowOptions(),
    ]
    model = random_table(4, len(rows), 5)
    result = run_search(model, rows)
    assert [len(hypotheses(result, row)) for row in range(len(rows))] == [0, 0, 0, 0, 0, 3]
    assert np.isfinite(result.token_log_probs).all()


DIVERSE = [
    (6, 2, 0.0),
    (6, 2, 0.5),
    (6, 3, 0.5),
    (6, 6, 1.0),
    (4, 4, 50.0),
    (4, 2, 0.2),
    (2, 2, 1.5),
    (8, 4, 0.3),
    (5, 5, 0.1),
]


@pytest.mark.parametrize("seed", range(4))
def test_diverse_beams_equal_the_algorithm(seed):
    rows = [
        RowOptions(size, size, 0.6, beam_groups=groups, diversity_penalty=penalty, max_length=5)
        for size, groups, penalty in DIVERSE
    ]
    model = random_table([5, seed], len(rows), 5)
    result, differ = run_search(model, rows), 0
    for row, options in enumerate(rows):
        check(result, row, reference_search(model, row, options), model, options)
        plain = reference_search(model, row, replace(options, beam_groups=1))
        differ += reference_search(model, row, options) != plain
    assert differ > 3


@pytest.mark.parametrize("seed", range(4))
def test_alternatives_branch_at_their_position_and_are_greedy_elsewhere(seed):
    rows = [
        RowOptions(n, n, alternatives_at=at, max_length=5)
        for n in (1, 2, 3, 4)
        for at in (0, 1, 2, 5)
    ]
    model = random_table([6, seed], len(rows), 5, sharpness=1.0)
    result = run_search(model, rows)
    for row, options in enumerate(rows):
        expected = reference_search(model, row, options)
        check(result, row, expected, model, options)
        at = options.alternatives_at
        branches = [(*tokens, END)[at : at + 1] for *_, tokens in expected]
        assert len({tokens[:at] for *_, tokens in expected}) == 1
        assert len(set(branches)) == len(branches)


def sequences(low, high, count):
    return st.lists(
        st.lists(st.sampled_from(WORDS), min_size=low, max_size=high).map(tuple), max_size=count
    ).map(tuple)


@st.composite
def random_options(draw):
    size = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["plain", "constrained", "diverse", "alternatives"]))
    groups = draw(st.sampled_from([g for g in range(1, size + 1) if size % g == 0]))
    num_hypotheses = draw(st.integers(1, size))
    prefix = tuple(draw(st.lists(st.sampled_from(WORDS), max_size=2)))
    return RowOptions(
        beam_size=num_hypotheses if kind == "alternatives" else size,
        num_hypotheses=num_hypotheses,
        length_penalty=draw(st.sampled_from([0.0, 0.6, 2.0, -0.5])),
        length_offset=draw(st.sampled_from([5.0, 0.0, 1.0])),
        min_length=draw(st.integers(0, 3)),
        max_length=draw(st.integers(0, 6)),
        coverage_penalty=draw(st.sampled_from([0.0, 0.0, 0.2, 2.0])),
        no_repeat_ngram=draw(st.sampled_from([0, 0, 1, 2, 3])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.0, 1.5, 0.5])),
        prefix=prefix,
        disallowed=draw(st.just(()) | sequences(1, 3, 3)),
        constraints=draw(sequences(1, 3, 3)) if kind == "constrained" else (),
        beam_groups=groups if kind == "diverse" else 1,
        diversity_penalty=draw(st.sampled_from([0.0, 0.3, 1.0, 20.0])),
        alternatives_at=draw(st.integers(0, 5)) if kind == "alternatives" else -1,
    )


def check_against_reference(seed, rows):
    model = random_table(seed, len(rows), 6)
    result = run_search(model, rows)
    for row, options in enumerate(rows):
        check(result, row, reference_search(model, row, options), model, options)


CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "rows": st.lists(random_options(), min_size=1, max_size=6),
}


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(**CASES)
def test_any_options_in_one_batch_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)


@pytest.mark.parametrize("graph", [False, True])
def test_plain_rows_that_leave_a_large_batch_early_equal_the_reference(graph):
    # Rows that are done leave the batch, half of it at a time.
    random = np.random.default_rng(9)
    sizes = random.integers(1, 6, 40).tolist()
    rows = [
        RowOptions(
            size,
            random.integers(1, size + 1),
            random.choice([0.0, 0.6, 1.5]),
            min_length=random.integers(0, 3),
            max_length=random.choice([0, 1, 2, 4, 6]),
        )
        for size in sizes
    ]
    model = random_table(9, len(rows), 6)
    result = run_search(model, rows, graph)
    assert {0, 1, 2, 3, 4} <= set(result.lengths[:, 0].tolist())
    for row, options in enumerate(rows):
        check(result, row, reference_search(model, row, options), model, options)


LARGE_CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "rows": st.lists(random_options(), min_size=16, max_size=40),
}


@settings(deadline=None, max_examples=12, derandomize=True, database=None)
@given(**LARGE_CASES)
def test_rows_of_all_options_that_leave_a_large_batch_early_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)


def test_a_targets_score_does_not_depend_on_how_much_of_it_was_forced():
    free = RowOptions(4, 4, 0.6, repetition_penalty=1.8, max_length=6, min_length=5)
    model, repeated = random_table(11, 1, 6), 0
    for score, log_prob, tokens in hypotheses(run_search(model, [free]), 0):
        for count in range(len(tokens) + 1):
            forced = replace(
                free,
                beam_size=1,
                num_hypotheses=1,
                prefix=tokens[:count],
                constraints=(tokens,),
                max_length=len(tokens),
            )
            (actual,) = hypotheses(run_search(model, [forced]), 0)
            assert actual[2] == tokens
            np.testing.assert_allclose(actual[:2], (score, log_prob), atol=1e-5)
        repeated += len(set(tokens)) < len(tokens)
    assert repeated


@pytest.mark.slow
@settings(deadline=None, max_examples=600, derandomize=True, database=None)
@given(**CASES)
def test_a_great_many_options_equal_the_reference(seed, rows):
    check_against_reference(seed, rows)
