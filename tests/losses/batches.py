"""A batch of targets with padding, for the tests of objectives."""

import numpy as np

from tests.references import normal, right_padded, run_both

V, S, T = 7, 5, 4

LENGTHS = [4, 2, 1]

WEIGHTS = right_padded(LENGTHS, T).astype("float32")

ALIGNMENT = np.zeros((3, T, S), bool)

for index in ((0, 0, 1), (0, 1, 0), (0, 1, 3), (1, 0, 2)):
    ALIGNMENT[index] = True

Y = np.random.default_rng(1).integers(4, V, (3, T)).astype("int32")


def attention():
    scores = np.exp(normal(3, T, S) * 2)
    return (scores / scores.sum(-1, keepdims=True)).astype("float32")


def evaluate(objective, x=None, **outputs):
    return run_both(lambda o, w: objective(x, Y, o, w), outputs, WEIGHTS)


def real_positions():
    return [(b, t) for b, length in enumerate(LENGTHS) for t in range(length)]
