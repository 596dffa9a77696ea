"""Location-sensitive attention against the paper's formula."""

import numpy as np
import pytest

from keras_s2s.attention import (
    LocationAttention,
)
from tests.attention.memory_steps import (
    build,
    check,
    run_steps,
)
from tests.references import (
    linear,
    softmax,
)


@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_location(size, cumulative):
    layer = build(LocationAttention(7, 2, size, cumulative))
    filters = np.asarray(layer.convolution.kernel)[:, 0]  # [size, F]

    def convolve(history, position):
        reach = range(-(size // 2), size // 2 + 1)
        return sum(
            filters[size // 2 + i] * history[position + i]
            for i in reach
            if 0 <= position + i < len(history)
        )

    def formula(queries, values, mask):
        history, weights = np.zeros(len(values)), []
        for q in queries:
            scores = [
                linear(
                    layer.score,
                    np.tanh(
                        linear(layer.query_projection, q)
                        + linear(layer.key_projection, v)
                        + linear(layer.feature, convolve(history, j))
                    ),
                )[0]
                for j, v in enumerate(values)
            ]
            weights.append(softmax(np.array(scores), mask))
            history = history + weights[-1] if cumulative else weights[-1]
        return np.array(weights) @ values, np.array(weights)

    check(layer, formula, *run_steps(layer))
