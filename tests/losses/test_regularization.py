"""L2 and R-Drop against their formulas."""

import numpy as np
import tensorflow as tf

from keras_s2s import losses
from tests.losses.batches import WEIGHTS, T, V, Y, evaluate, real_positions
from tests.references import assert_close, log_softmax, normal


def test_l2():
    weights = [tf.Variable(normal(2, 3)), tf.Variable(normal(4, seed=1))]
    total, count = losses.l2(lambda: weights)(None, None, None, None)
    assert_close(total, sum((w.numpy() ** 2).sum() for w in weights))
    assert count == 1.0


def test_r_drop():
    first, second = normal(3, T, V), normal(3, T, V, seed=1)
    p, q, expected = log_softmax(first), log_softmax(second), 0.0
    for b, t in real_positions():
        entropy = -p[b, t, Y[b, t]] - q[b, t, Y[b, t]]
        divergence = sum(np.exp(p[b, t]) * (p[b, t] - q[b, t]))
        divergence += sum(np.exp(q[b, t]) * (q[b, t] - p[b, t]))
        expected += (entropy + 5.0 / 2 * divergence) / 2
    assert_close(evaluate(losses.r_drop(5.0), logits=first, again=second), (expected, 7.0))
    plain = losses.cross_entropy(0.1, V)(None, Y, first, WEIGHTS)
    assert_close(evaluate(losses.r_drop(5.0, 0.1, V), logits=first, again=first), arrays(plain))


def arrays(nest):
    return tf.nest.map_structure(lambda x: x.numpy(), nest)
