"""Attention with linear scores against its formula."""

import numpy as np

from keras_s2s.attention import (
    LinearAttention,
)
from tests.attention.memory_steps import (
    build,
    check,
    run_steps,
    softmax_formula,
)
from tests.references import (
    assert_close,
    linear,
)


def test_linear_form():
    layer = build(LinearAttention())
    query_projection, key_projection = layer.query_projection, layer.key_projection

    def score(q, v):
        return (linear(key_projection, v) + linear(query_projection, q))[0]

    results = run_steps(layer)
    check(layer, softmax_formula(score), *results)
    weights = results[-1]  # independent of the query
    assert_close(weights[1:], np.broadcast_to(weights[:1], weights[1:].shape))
