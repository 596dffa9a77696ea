"""Multi-head attention of recurrent decoders against the paper's formula."""

import numpy as np

from keras_s2s.attention import (
    MultiHeadAttention,
)
from tests import references
from tests.attention.memory_steps import (
    MASK,
    POSITIONS,
    build,
    run_steps,
)
from tests.references import (
    assert_close,
)


def test_multi_head():
    layer = build(MultiHeadAttention(8, 2))
    queries, memory, contexts, weights = run_steps(layer)
    for p, b in np.ndindex(POSITIONS, 3):
        expected = references.cross_attention(
            layer.cross, queries[p, b], memory.values[b].numpy(), MASK[b]
        )
        assert_close((contexts[p, b], weights[p, b]), expected)
    assert layer.map_names == ("head 1", "head 2")
