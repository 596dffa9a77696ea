"""Coverage attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.history import HistoryAttention
from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class CoverageAttention(HistoryAttention):
    """Additive attention over a coverage vector, the sum of the previous weights.

    e_ij = v^T tanh(W q_i + U k_j + w_c c_ij + b), c_ij = the sum of the weights of position j
    before step i: linguistic coverage with a fertility of one, and the coverage vector of
    summarization models.

    Args:
        units: width A of the hidden layer.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: See et al. 2017, arXiv:1704.04368, equation 11; Tu et al. 2016, arXiv:1601.04811,
    section 3.1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import CoverageAttention
    >>> layer, query, memory = CoverageAttention(6), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    state_name = "coverage"

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.feature = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().build(query_shape, keys_shape, values_shape)
        build_layers((self.feature, 1))

    def _features(self, history):
        return self.feature(tf.cast(history, self.compute_dtype))  # [B * K, M, A]

    def _update_history(self, history, weights):
        return history + weights
