"""Constrained beams against a reference in plain Python, and against exhaustive search."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search.constraints import constrained_candidates, initially_met
from keras_s2s.search.options import NEG_INF, Options, no_constraints
from tests.search.constraint_reference import (
    END,
    VOCABULARY,
    WORDS,
    Case,
    contains,
    needed,
    reference_steps,
    unmet,
)


def pad_constraints(cases):
    count = max((len(case.constraints) for case in cases), default=0)
    length = max((len(x) for case in cases for x in case.constraints), default=0)
    padded = np.zeros([len(cases), count, length], "int32")
    for row, case in enumerate(cases):
        for index, constraint in enumerate(case.constraints):
            padded[row, index, : len(constraint)] = constraint
    return tf.constant(padded)


def options_of(cases):
    size = tf.constant([case.size for case in cases], tf.int32)
    longest = tf.constant([case.longest for case in cases], tf.int32)
    penalty = tf.ones([len(cases)])
    options = Options(size, size, penalty, 5.0 * penalty, 0 * size, longest)
    prefix_length = tf.constant([len(case.prefix) for case in cases], tf.int32)
    constraint_options = no_constraints(len(cases))._replace(
        constraints=pad_constraints(cases), prefix_length=prefix_length
    )
    return options, constraint_options


def specs(rank, *dtypes):
    return [tf.TensorSpec([None] * rank, dtype) for dtype in dtypes]


REAL, INT = tf.float32, tf.int32
SPECS = [*specs(3, REAL, INT, tf.bool), *specs(0, INT)]
SPECS += [Options(*specs(1, INT, INT, REAL, REAL, INT, INT))]
SPECS += [*specs(3, INT), *specs(1, INT)]


@tf.function(autograph=False, input_signature=SPECS)
def traced(totals, history, met, position, options, constraints, prefix_length):
    constraint_options = no_constraints(tf.shape(totals)[0])._replace(
        constraints=constraints, prefix_length=prefix_length
    )
    return constrained_candidates(totals, history, met, position, options, constraint_options)


def in_graph(*arguments):
    *others, constraint_options = arguments
    return traced(*others, constraint_options.constraints, constraint_options.prefix_length)


def gather(x, index):
    return np.take_along_axis(x.numpy(), index.reshape(index.shape + (1,) * (x.ndim - 2)), 1)


def run(cases, step=constrained_candidates):
    """The steps of `reference_steps` by `constrained_candidates`, all cases in one batch."""
    options, constraint_options = options_of(cases)
    width = max(case.size for case in cases)
    live = [[(np.float32(0), ())] for _ in cases]
    met = initially_met(len(cases), width, constraint_options.constraints)
    steps = [[] for _ in cases]
    for position in range(max(case.longest for case in cases) + 1):
        totals = np.full([len(cases), width, VOCABULARY], NEG_INF, "float32")
        history = np.zeros([len(cases), width, position], "int32")
        for row, case in enumerate(cases):
            for slot, (total, tokens) in enumerate(live[row]):
                totals[row, slot], history[row, slot] = case.totals(total, tokens), tokens
        tensors = tf.constant(totals), tf.constant(history), met, tf.constant(position)
        candidates, new_met = step(*tensors, options, constraint_options)
        chosen = tf.math.top_k(candidates.priority, width)[1].numpy()
        met = tf.constant(gather(new_met, chosen))
        for row, hypotheses in enumerate(live):
            if hypotheses:
                live[row], ended = read_step(candidates, row, hypotheses, chosen[row])
                steps[row].append((live[row], ended))
                check_met(cases[row], live[row], met[row])
    return steps


def read_step(candidates, row, live, chosen):
    totals, tokens, parents, ending, priority = (x[row].numpy() for x in candidates)

    def grown(m):
        return totals[m], (*live[parents[m]][1], int(tokens[m]))

    ended = [(total, ids[:-1]) for total, ids in map(grown, np.flatnonzero(ending))]
    assert len(ended) == len(set(ended))
    return [grown(m) for m in chosen if priority[m] > NEG_INF / 2], set(ended)


def check_met(case, live, met):
    for (_, tokens), flags in zip(live, met.numpy()):
        expected = [contains(tokens, c) for c in case.constraints]
        assert flags.tolist() == expected + [True] * (len(flags) - len(expected))


def random_case(random, seed, row, longest=4):
    size = int(random.integers(1, 6))
    constraints, left = [], longest
    prefix = tuple(random.choice(WORDS, random.integers(0, 2)).tolist())
    if random.random() < 0.3:  # in the prefix, and one that may begin in it
        constraints += [prefix, (*prefix, 4)] if prefix else []
    left -= len(prefix) + bool(constraints)
    while left and random.random() < 0.75:
        length = int(random.integers(1, min(left, 3) + 1))
        constraint = tuple(random.choice(WORDS[:3], length).tolist())
        constraints += [constraint]
        left -= length
        if left >= length and random.random() < 0.2:
            constraints += [constraint]
            left -= length
    shortest = int(random.integers(0, 3))
    return Case(seed, row, size, longest, constraints, prefix, shortest)


def all_ended(steps):
    return {item for _, ended in steps for item in ended}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_step_equals_the_reference(seed, graph):
    random = np.random.default_rng(seed)
    cases = [random_case(random, seed, row) for row in range(12)]
    results = run(cases, in_graph if graph else constrained_candidates)
    for case, steps in zip(cases, results):
        assert steps == reference_steps(case)
        assert all_ended(steps)
        for _, tokens in all_ended(steps):
            assert all(contains(tokens, c) for c in case.constraints)


CONSTRAINTS = {
    "none": [],
    "one": [(4,)],
    "shared": [(4, 5), (5, 6)],
    "within": [(4, 4), (4,), (4, 4)],
    "full": [(4, 5), (6, 4)],
    "bordered": [(4, 4, 5)],
}


def exhaustive(case):
    hypotheses = set()
    for length in range(case.shortest, case.longest + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            # A live hypothesis always has room for the tokens that it needs.
            has_room = all(
                needed(case, tokens[:i]) <= case.longest - i for i in range(1, length + 1)
            )
            if has_room and not unmet(case, tokens):
                total = np.float32(0)
                for position, token in enumerate((*tokens, END)):
                    total += case.model[tokens[:position]][token]
                hypotheses.add((total, tokens))
    return hypotheses


def test_a_beam_as_wide_as_the_space_is_exhaustive():
    cases = [Case(1, i, 400, 4, constraints) for i, constraints in enumerate(CONSTRAINTS.values())]
    for case, steps in zip(cases, run(cases)):
        assert all_ended(steps) == exhaustive(case)


def plain_steps(case):
    live, steps = [(np.float32(0), ())], []
    while live:
        items = [
            (total, tokens, token)
            for parent_total, tokens in live
            for token, total in enumerate(case.totals(parent_total, tokens))
            if total > NEG_INF / 2
        ]
        items = sorted(items, key=lambda item: -item[0])[: 2 * case.size]
        ended = {(total, tokens) for total, tokens, token in items[: case.size] if token == END}
        live = [(t, (*tokens, token)) for t, tokens, token in items if token != END][: case.size]
        steps.append((live, ended))
    return steps


def test_rows_without_constraints_are_plain_beams():
    cases = [Case(2, row, size, 4) for row, size in enumerate((1, 2, 3, 5))]
    expected = [plain_steps(case) for case in cases]
    assert run(cases) == expected
    assert run([*cases, Case(2, 9, 7, 4, [(4, 5), (6,)])])[:-1] == expected


def favouring(case, favourite):
    """Makes each token of `favourite`, then the end, likely at its position after any prefix."""
    for prefix, log_probs in case.model.items():
        token = (*favourite, END)[min(len(prefix), len(favourite))]
        log_probs[:] = np.log(0.3 / VOCABULARY)
        log_probs[token] = np.log(0.7)
    return case


def greedy(constraints, favourite, shortest=0):
    steps = run([favouring(Case(3, 0, 1, 4, constraints, (), shortest), favourite)])[0]
    return next(tokens for _, ended in steps for _, tokens in ended)


def test_greedy_search_begins_a_constraint_where_the_model_does_or_before_its_end():
    assert greedy([(5,)], (4, 5)) == (4, 5)
    assert greedy([(6,)], (4, 5)) == (4, 5, 6)
    assert greedy([(6, 1)], (4, 5)) == (4, 5, 6, 1)
    assert greedy([(4, 1)], (4, 5)) == (4, 1)
    assert greedy([(6, 1)], (4, 4, 4, 4)) == (4, 4, 6, 1)
    assert greedy([(4,), (4, 5), (6,)], (6, 6, 6, 6), shortest=1) == (4, 5, 6, 6)


def test_the_best_of_all_survives_whatever_the_banks():
    case = favouring(Case(4, 0, 2, 5, [(5, 6, 1)]), (4, 4, 4, 4, 4))
    live = [{tokens for _, tokens in live} for live, _ in run([case])[0]]
    assert {(4,), (5,)} == live[0]
    assert (4, 4) in live[1]
    assert (5, 6) in live[1]


def test_a_hypothesis_far_behind_survives_and_ends_when_it_is_alone_in_its_bank():
    options, constraint_options = options_of([Case(6, 0, 4, 3, [(5, 6, 1)])])
    options = options._replace(max_length=tf.constant([9]))
    history = tf.constant([[[4, 4, 4], [4, 4, 1], [5, 6, 1], [0, 0, 0]]])
    totals = np.full([1, 4, VOCABULARY], NEG_INF, "float32")
    totals[0, 0, [1, 4, 5, 6, END]] = -1.0, -1.1, -1.2, -1.3, -0.5
    totals[0, 1, [1, 4, 5, 6, END]] = -2.0, -2.1, -2.2, -2.3, -0.5
    totals[0, 2, [1, 4, 5, 6, END]] = -8.0, -7.0, -9.0, -9.0, -7.5
    met = tf.constant([[[False], [False], [True], [False]]])
    candidates, _ = constrained_candidates(
        totals, history, met, tf.constant(3), options, constraint_options
    )
    items = list(zip(*(x[0].numpy().tolist() for x in candidates)))
    # In turn: the best of all, the banks that need no and two tokens; then the end, or one of two.
    survivors = {(parent, token) for _, token, parent, _, p in items if p > NEG_INF / 2}
    assert survivors == {(0, 1), (2, 4), (0, 5), (1, 5)}
    assert [(parent, token) for _, token, parent, ends, _ in items if ends] == [(2, END)]


def test_constraints_that_do_not_fit_leave_nothing():
    steps = run([Case(5, 0, 3, 2, [(4, 5), (6,)])])[0]
    assert steps == [([], set())]


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("rows", [0, 1])
def test_empty_shapes(rows, count):
    for length in (0, 2):
        constraints = tf.zeros([rows, count, length], tf.int32)
        met = initially_met(rows, 2, constraints)
        assert met.shape == (rows, 2, count)
        assert met.numpy().all()
        options, constraint_options = options_of([Case(6, 0, 2, 1)] * rows)
        constraint_options = constraint_options._replace(constraints=constraints)
        history = tf.zeros([rows, 2, 0], tf.int32)
        totals = tf.fill([rows, 2, VOCABULARY], -1.0)
        for step in (constrained_candidates, in_graph):
            candidates, new_met = step(
                totals, history, met, tf.constant(0), options, constraint_options
            )
            assert candidates.priority.shape == (rows, 8 + 2 * count * length)
            assert new_met.shape == (rows, 8 + 2 * count * length, count)
