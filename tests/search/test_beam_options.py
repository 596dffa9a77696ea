"""The whole search with every option against exhaustive search and against a beam of lists."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import beam_reference as twin
from tests.search import test_constraints as bound
from tests.search.beam_reference import WORDS, Wish

EVERY = {
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
    "held": {"prefix": (5, 4, 1), "constraints": ((5, 4), (4, 1))},
    "begun": {"prefix": (5, 4), "constraints": ((4, 5),)},
    "max_length": {"max_length": 1},
}
TOGETHER = {
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
WISHES = {"nothing": {}, **EVERY, "together": TOGETHER}


def exhaustive(model, row, wish):
    """Every possible sequence, best first."""
    of, found = twin.Row(model, row, wish), []
    for length in range(wish.max_length + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            # A hypothesis that lives on always has room for what it still needs.
            roomy = all(
                i <= len(wish.prefix) or bound.needed(of, tokens[:i]) <= wish.max_length - i
                for i in range(1, length + 1)
            )
            total = of.total(tokens)
            if total is not None and roomy and not bound.unmet(of, tokens):
                found.append(of.hypothesis(total, tokens))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("graph", [False, True])
def test_a_beam_as_wide_as_the_space_is_exhaustive_with_every_option(graph):
    wishes = [Wish(40, 40, **one) for one in WISHES.values()]
    model = twin.table(1, len(wishes), 3)
    found, counts = twin.run(model, wishes, graph), {}
    for row, (name, wish) in enumerate(zip(WISHES, wishes)):
        expected = exhaustive(model, row, wish)
        twin.check(found, row, expected, model, wish)
        counts[name] = len(expected)
    assert counts["nothing"] == counts["repetition_penalty"] == 40
    assert all(count > 0 for count in counts.values())
    assert max(counts["together"], counts["constraints"]) < 40


def test_each_option_changes_what_is_found():
    names = [name for name in WISHES if name != "nothing"]
    model = twin.table(2, 1, 3)
    alone = exhaustive(model, 0, Wish(40, 40))
    for name in names:
        assert exhaustive(model, 0, Wish(40, 40, **WISHES[name])) != alone, name


def test_a_repetition_penalty_ranks_and_leaves_the_models_own_log_prob():
    model, wish = twin.table(3, 1, 3), Wish(40, 40, repetition_penalty=3.0)
    own = {tokens: p for _, p, tokens in twin.hypotheses(twin.run(model, [Wish(40, 40)]), 0)}
    came = twin.hypotheses(twin.run(model, [wish]), 0)
    assert any(score < log_prob - 0.1 for score, log_prob, _ in came)
    for score, log_prob, tokens in came:
        assert log_prob == pytest.approx(own[tokens], abs=1e-5)
        again = len(set(tokens)) < len(tokens)
        assert (score < log_prob - 1e-4) == again


def test_impossible_wishes_leave_nothing():
    wishes = [
        Wish(prefix=(4, 5), max_length=1),
        Wish(disallowed=((1,), (4,), (5,)), min_length=1),
        Wish(constraints=((4, 5), (5, 1)), max_length=3),
        Wish(no_repeat_ngram=1, min_length=4, max_length=5),
        Wish(constraints=((4,),), disallowed=((4,),)),
        Wish(),
    ]
    model = twin.table(4, len(wishes), 5)
    found = twin.run(model, wishes)
    assert [len(twin.hypotheses(found, row)) for row in range(len(wishes))] == [0, 0, 0, 0, 0, 3]
    assert np.isfinite(found.token_log_probs).all()


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
def test_diverse_beams_are_the_algorithms(seed):
    wishes = [
        Wish(size, size, 0.6, beam_groups=groups, diversity_penalty=penalty, max_length=5)
        for size, groups, penalty in DIVERSE
    ]
    model = twin.table([5, seed], len(wishes), 5)
    found, differ = twin.run(model, wishes), 0
    for row, wish in enumerate(wishes):
        twin.check(found, row, twin.plain_search(model, row, wish), model, wish)
        plain = twin.plain_search(model, row, replace(wish, beam_groups=1))
        differ += twin.plain_search(model, row, wish) != plain
    assert differ > 3


@pytest.mark.parametrize("seed", range(4))
def test_alternatives_branch_at_their_position_and_are_greedy_elsewhere(seed):
    wishes = [
        Wish(n, n, alternatives_at=at, max_length=5) for n in (1, 2, 3, 4) for at in (0, 1, 2, 5)
    ]
    model = twin.table([6, seed], len(wishes), 5, sharpness=1.0)
    found = twin.run(model, wishes)
    for row, wish in enumerate(wishes):
        expected = twin.plain_search(model, row, wish)
        twin.check(found, row, expected, model, wish)
        at = wish.alternatives_at
        branches = [(*tokens, twin.END)[at : at + 1] for *_, tokens in expected]
        assert len({tokens[:at] for *_, tokens in expected}) == 1
        assert len(set(branches)) == len(branches)


def sequences(low, high, most):
    return st.lists(
        st.lists(st.sampled_from(WORDS), min_size=low, max_size=high).map(tuple), max_size=most
    ).map(tuple)


@st.composite
def wishes(pick):
    size = pick(st.integers(1, 6))
    way = pick(st.sampled_from(["plain", "bound", "diverse", "alternatives"]))
    groups = pick(st.sampled_from([g for g in range(1, size + 1) if size % g == 0]))
    wanted = pick(st.integers(1, size))
    prefix = tuple(pick(st.lists(st.sampled_from(WORDS), max_size=2)))
    return Wish(
        beam_size=wanted if way == "alternatives" else size,
        num_hypotheses=wanted,
        length_penalty=pick(st.sampled_from([0.0, 0.6, 2.0, -0.5])),
        length_offset=pick(st.sampled_from([5.0, 0.0, 1.0])),
        min_length=pick(st.integers(0, 3)),
        max_length=pick(st.integers(0, 6)),
        coverage_penalty=pick(st.sampled_from([0.0, 0.0, 0.2, 2.0])),
        no_repeat_ngram=pick(st.sampled_from([0, 0, 1, 2, 3])),
        repetition_penalty=pick(st.sampled_from([1.0, 1.0, 1.5, 0.5])),
        prefix=prefix,
        disallowed=pick(st.just(()) | sequences(1, 3, 3)),
        constraints=pick(sequences(1, 3, 3)) if way == "bound" else (),
        beam_groups=groups if way == "diverse" else 1,
        diversity_penalty=pick(st.sampled_from([0.0, 0.3, 1.0, 20.0])),
        alternatives_at=pick(st.integers(0, 5)) if way == "alternatives" else -1,
    )


def agrees(seed, rows):
    model = twin.table(seed, len(rows), 6)
    found = twin.run(model, rows)
    for row, wish in enumerate(rows):
        twin.check(found, row, twin.plain_search(model, row, wish), model, wish)


CASES = {"seed": st.integers(0, 2**32 - 1), "rows": st.lists(wishes(), min_size=1, max_size=6)}


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(**CASES)
def test_any_wishes_side_by_side_are_the_twins(seed, rows):
    agrees(seed, rows)


@pytest.mark.parametrize("graph", [False, True])
def test_plain_rows_that_leave_a_large_batch_early_are_the_twins(graph):
    # Without any wish rows that are done leave the batch, half of it at a time.
    random = np.random.default_rng(9)
    sizes = random.integers(1, 6, 40).tolist()
    rows = [
        Wish(
            size,
            random.integers(1, size + 1),
            random.choice([0.0, 0.6, 1.5]),
            min_length=random.integers(0, 3),
            max_length=random.choice([0, 1, 2, 4, 6]),
        )
        for size in sizes
    ]
    model = twin.table(9, len(rows), 6)
    found = twin.run(model, rows, graph)
    assert {0, 1, 2, 3, 4} <= set(found.lengths[:, 0].tolist())
    for row, wish in enumerate(rows):
        twin.check(found, row, twin.plain_search(model, row, wish), model, wish)


MANY = {"seed": st.integers(0, 2**32 - 1), "rows": st.lists(wishes(), min_size=16, max_size=40)}


@settings(deadline=None, max_examples=12, derandomize=True, database=None)
@given(**MANY)
def test_rows_of_all_wishes_that_leave_a_large_batch_early_are_the_twins(seed, rows):
    agrees(seed, rows)


def test_a_targets_score_does_not_depend_on_how_much_of_it_was_forced():
    free = Wish(4, 4, 0.6, repetition_penalty=1.8, max_length=6, min_length=5)
    model, repeated = twin.table(11, 1, 6), 0
    for score, log_prob, tokens in twin.hypotheses(twin.run(model, [free]), 0):
        for count in range(len(tokens) + 1):
            forced = replace(
                free,
                beam_size=1,
                num_hypotheses=1,
                prefix=tokens[:count],
                constraints=(tokens,),
                max_length=len(tokens),
            )
            (came,) = twin.hypotheses(twin.run(model, [forced]), 0)
            assert came[2] == tokens
            np.testing.assert_allclose(came[:2], (score, log_prob), atol=1e-5)
        repeated += len(set(tokens)) < len(tokens)
    assert repeated


@pytest.mark.slow
@settings(deadline=None, max_examples=600, derandomize=True, database=None)
@given(**CASES)
def test_a_great_many_wishes_are_the_twins(seed, rows):
    agrees(seed, rows)
