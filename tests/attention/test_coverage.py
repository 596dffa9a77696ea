"""Coverage attention against the paper's formula."""

import numpy as np

from keras_s2s.attention import (
    CoverageAttention,
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


def test_coverage():
    layer = build(CoverageAttention(7))

    def formula(queries, values, mask):
        coverage, weights = np.zeros(len(values)), []
        for q in queries:
            scores = [
                linear(
                    layer.score,
                    np.tanh(
                        linear(layer.query_projection, q)
                        + linear(layer.key_projection, v)
                        + coverage[j] * np.asarray(layer.feature.kernel)[0]
                    ),
                )[0]
                for j, v in enumerate(values)
            ]
            weights.append(softmax(np.array(scores), mask))
            coverage = coverage + weights[-1]
        return np.array(weights) @ values, np.array(weights)

    check(layer, formula, *run_steps(layer))
