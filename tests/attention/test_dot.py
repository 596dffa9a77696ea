"""Multiplicative attention against the papers' formulas."""

import numpy as np

from keras_s2s.attention import (
    DotAttention,
)
from tests.attention.memory_steps import (
    QUERY,
    build,
    check,
    run_steps,
    softmax_formula,
)


def test_dot():
    layer = build(DotAttention("dot"), width=QUERY)
    check(layer, softmax_formula(lambda q, v: q @ v), *run_steps(layer, QUERY))


def test_scaled():
    layer = build(DotAttention("scaled"), width=QUERY)
    check(layer, softmax_formula(lambda q, v: q @ v / 2), *run_steps(layer, QUERY))


def test_general():
    layer = build(DotAttention("general"))
    kernel = np.asarray(layer.key_projection.kernel)  # [D_m, D_q]
    check(layer, softmax_formula(lambda q, v: q @ kernel.T @ v), *run_steps(layer))
    assert not layer.key_projection.use_bias
