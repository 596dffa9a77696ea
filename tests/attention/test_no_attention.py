"""The summary as the context of every position."""

import numpy as np

from keras_s2s.attention import (
    NoAttention,
)
from tests.attention.memory_steps import (
    build,
    run_steps,
)
from tests.references import (
    assert_close,
)


def test_context_is_the_summary_at_every_position():
    layer = build(NoAttention())
    _, memory, contexts, weights = run_steps(layer)
    assert_close(contexts, np.broadcast_to(memory.summary[:, None], contexts.shape), 0)
    assert not weights.any()
    assert not layer.has_attention
