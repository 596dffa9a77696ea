"""Local attention against the paper's formulas."""

import numpy as np
import pytest

from keras_s2s.attention import LocalAttention
from tests.attention.memory_steps import QUERY, WIDTH, build, check, run_steps
from tests.references import linear, sigmoid, softmax


@pytest.mark.parametrize("window", [1, 2, 10])
@pytest.mark.parametrize("form", ["general", "dot"])
def test_local_predictive(window, form):
    width = QUERY if form == "dot" else WIDTH
    layer = build(LocalAttention(7, window, form=form), width=width)
    project = layer.key_projection or (lambda v: v)

    def formula(queries, values, mask):
        weights, positions = [], np.arange(len(values))
        for q in queries:
            hidden = np.tanh(linear(layer.place_projection, q))
            center = mask.sum() * sigmoid(linear(layer.place_score, hidden))[0]
            is_near = mask & (np.abs(positions - center) <= window)
            scores = np.array([q @ np.asarray(project(v[None]))[0] for v in values])
            gauss = np.exp(-((positions - center) ** 2) / (2 * (window / 2) ** 2))
            weights.append(softmax(scores, is_near) * gauss)
        return np.array(weights) @ values, np.array(weights)

    results = run_steps(layer, width)
    check(layer, formula, *results)
    if window == 1:  # some positions are outside the window
        assert not results[-1][:, 0].all()


@pytest.mark.parametrize("window", [1, 10])
def test_local_monotonic(window):
    layer = build(LocalAttention(7, window, predictive=False))
    kernel = np.asarray(layer.key_projection.kernel)

    def formula(queries, values, mask):
        weights, positions = [], np.arange(len(values))
        for position, q in enumerate(queries):
            is_near = mask & (np.abs(positions - position) <= window)
            weights.append(softmax(np.array([q @ kernel.T @ v for v in values]), is_near))
        return np.array(weights) @ values, np.array(weights)

    results = run_steps(layer)
    check(layer, formula, *results)
    is_seen = (results[-1][3, 1, 0, 0] > 0).tolist()  # fourth step, a row of three positions
    assert is_seen == [window == 10, window == 10, True, False, False]
    assert layer.stateful
    assert len(layer.trainable_variables) == 1  # no layer predicts the center


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="window: expected a positive integer, got 0"):
        LocalAttention(4, 0)
    with pytest.raises(ValueError, match="form: expected 'dot', 'scaled' or 'general', got 'cos'"):
        LocalAttention(4, form="cos")
