"""Local attention against the paper's formulas."""

import numpy as np
import pytest

from keras_s2s.attention import LocalAttention
from tests.attention.test_factory import QUERY, WIDTH, check, made, walked
from tests.references import linear, sigmoid, softmax


@pytest.mark.parametrize("window", [1, 2, 10])
@pytest.mark.parametrize("form", ["general", "dot"])
def test_local_predictive(window, form):
    width = QUERY if form == "dot" else WIDTH
    layer = made(LocalAttention(7, window, form=form), width=width)
    project = layer.key_projection or (lambda v: v)

    def formula(queries, values, mask):
        weights, places = [], np.arange(len(values))
        for q in queries:
            hidden = np.tanh(linear(layer.place_projection, q))
            centre = mask.sum() * sigmoid(linear(layer.place_score, hidden))[0]
            near = mask & (np.abs(places - centre) <= window)
            scores = np.array([q @ np.asarray(project(v[None]))[0] for v in values])
            gauss = np.exp(-((places - centre) ** 2) / (2 * (window / 2) ** 2))
            weights.append(softmax(scores, near) * gauss)
        return np.array(weights) @ values, np.array(weights)

    given = walked(layer, width)
    check(layer, formula, *given)
    if window == 1:  # some places are out of reach, those of other windows are not
        assert not given[-1][:, 0].all()


@pytest.mark.parametrize("window", [1, 10])
def test_local_monotonic(window):
    layer = made(LocalAttention(7, window, predictive=False))
    kernel = np.asarray(layer.key_projection.kernel)

    def formula(queries, values, mask):
        weights, places = [], np.arange(len(values))
        for position, q in enumerate(queries):
            near = mask & (np.abs(places - position) <= window)
            weights.append(softmax(np.array([q @ kernel.T @ v for v in values]), near))
        return np.array(weights) @ values, np.array(weights)

    given = walked(layer)
    check(layer, formula, *given)
    seen = (given[-1][3, 1, 0, 0] > 0).tolist()  # at the fourth position, of a row of three places
    assert seen == [window == 10, window == 10, True, False, False]
    assert layer.stateful
    assert len(layer.trainable_variables) == 1  # nothing predicts a place


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="window: expected a positive integer, came 0"):
        LocalAttention(4, 0)
    with pytest.raises(ValueError, match="form: expected 'dot', 'scaled' or 'general', came 'cos'"):
        LocalAttention(4, form="cos")
