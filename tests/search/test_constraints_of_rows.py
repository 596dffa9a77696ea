"""Tokens that a row's constraints require after its prefix, and disallowed constraints."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search.constraints import has_disallowed, required_tokens
from keras_s2s.search.options import no_constraints
from tests.search.constraint_reference import Case, needed
from tests.search.test_constraints import options_of


def test_required_tokens_after_a_prefix():
    random, cases = np.random.default_rng(8), []
    for _ in range(60):
        constraints = random.integers(4, 7, (random.integers(0, 4), random.integers(1, 4)))
        prefix = random.integers(4, 7, random.integers(0, 5)).tolist()
        cut = [tuple(c[: random.integers(1, len(c) + 1)].tolist()) for c in constraints]
        cases.append(Case(7, 0, 1, 0, cut, prefix))
    longest = max(len(case.prefix) for case in cases)
    prefixes = np.full([60, longest], 4)  # beyond its length a prefix may be anything
    for row, case in enumerate(cases):
        prefixes[row, : len(case.prefix)] = case.prefix
    options = options_of(cases)[1]._replace(prefix=tf.constant(prefixes, tf.int32))
    actual = required_tokens(options).numpy().tolist()
    assert actual == [needed(case, tuple(case.prefix)) for case in cases]
    assert len(set(actual)) > 4
    assert required_tokens(no_constraints(2)).numpy().tolist() == [0, 0]


@pytest.mark.parametrize(
    "disallowed, expected",
    [
        ([[5, 6]], True),
        ([[4, 6], [5, 0]], True),
        ([[4, 5, 6, 0]], True),
        ([[5, 4], [6, 5], [0, 0]], False),
        ([[4, 5, 6, 1]], False),
        ([[6, 4], [5, 5]], False),
        (np.zeros([0, 0]), False),
    ],
)
def test_constraints_that_contain_a_disallowed_sequence(disallowed, expected):
    constraints = tf.constant([[[4, 5, 6], [5, 0, 0]], [[0] * 3] * 2])
    disallowed = tf.constant(np.array([disallowed] * 2, "int32"))
    options = no_constraints(2)._replace(constraints=constraints, disallowed=disallowed)
    assert has_disallowed(options).numpy().tolist() == [expected, False]
