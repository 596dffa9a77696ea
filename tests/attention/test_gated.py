"""Gated attention against its formula."""

import numpy as np
import pytest

from keras_s2s.attention import (
    GatedAttention,
)
from tests.attention.memory_steps import (
    build,
    check,
    run_steps,
)
from tests.references import (
    linear,
    sigmoid,
    softmax,
)


@pytest.mark.parametrize("source_units", [None, 2])
def test_gated(source_units):
    layer = build(GatedAttention(7, source_units))

    def formula(queries, values, mask):
        hidden = values if source_units is None else values[:, :-source_units]
        inputs = values if source_units is None else values[:, -source_units:]
        context, contexts, weights = np.zeros(hidden.shape[1]), [], []
        for q in queries:
            gates = []
            for x in inputs:
                inner = linear(layer.context_projection, context) + linear(
                    layer.source_projection, x
                )
                z = linear(layer.mixing, np.tanh(inner))
                gates.append(sigmoid(linear(layer.gate, z) + linear(layer.query_gate, q))[0])
            weights.append(softmax(np.array(gates), mask))
            context = weights[-1] @ hidden
            contexts.append(context)
        return np.array(contexts), np.array(weights)

    check(layer, formula, *run_steps(layer))
