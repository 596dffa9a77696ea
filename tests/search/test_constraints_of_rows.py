"""What a row's constraints need behind its prefix, and whether they hold what is disallowed."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.search import constraints as constraining
from keras_s2s.search.options import no_constraints
from tests.search import test_constraints as bound


def test_needed_behind_a_prefix():
    random, expected = np.random.default_rng(8), []
    for _ in range(60):
        constraints = random.integers(4, 7, (random.integers(0, 4), random.integers(1, 4)))
        prefix = random.integers(4, 7, random.integers(0, 5)).tolist()
        cut = [tuple(c[: random.integers(1, len(c) + 1)].tolist()) for c in constraints]
        expected.append(bound.Case(7, 0, 1, 0, cut, prefix))
    longest = max(len(case.prefix) for case in expected)
    prefixes = np.full([60, longest], 4)  # beyond its length a prefix may be anything
    for row, case in enumerate(expected):
        prefixes[row, : len(case.prefix)] = case.prefix
    extras = bound.settings(expected)[1]._replace(prefix=tf.constant(prefixes, tf.int32))
    came = constraining.required_tokens(extras).numpy().tolist()
    assert came == [bound.needed(case, tuple(case.prefix)) for case in expected]
    assert len(set(came)) > 4
    assert constraining.required_tokens(no_constraints(2)).numpy().tolist() == [0, 0]


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
def test_forbidden(disallowed, expected):
    constraints = tf.constant([[[4, 5, 6], [5, 0, 0]], [[0] * 3] * 2])
    disallowed = tf.constant(np.array([disallowed] * 2, "int32"))
    extras = no_constraints(2)._replace(constraints=constraints, disallowed=disallowed)
    assert constraining.has_disallowed(extras).numpy().tolist() == [expected, False]
