"""Attention with linear scores."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.attention.split_memory import SplitMemoryAttention
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class LinearAttention(SplitMemoryAttention):
    """Attention with linear scores: e_j = W_eh h_j + U_eh s + b_eh, weights = softmax_j(e_j).

    The term of the query is the same at every memory position, so the softmax cancels it: the
    weights depend on the h_j only and are the same at every step.

    Args:
        source_units: width of the x_j at the end of every memory vector, after the h_j; None: there
            are none.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, 1], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] without the x_j and float32 weights [B, Q, M].

    Raises:
        ValueError: for `source_units` that is not a positive integer, or a memory that is not
            wider.

    Reference: an introduction to Seq2Seq models with attention, its linear form.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import LinearAttention
    >>> layer, query, memory = LinearAttention(), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    def __init__(self, source_units: int | None = None, **kwargs: Any):
        super().__init__(source_units, **kwargs)
        self.query_projection = Linear(1, dtype=self.dtype_policy)
        self.key_projection = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        build_layers(
            (self.query_projection, query_shape[-1]),
            (self.key_projection, self.context_width(values_shape[-1])),
        )

    def project(self, values: tf.Tensor) -> tf.Tensor:
        """W_eh h of a memory: [B, M, D_m] -> [B, M, 1]."""
        return self.key_projection(self._hidden(values))

    def _query(self, query):
        return self.query_projection(query)

    def _scores(self, query, keys):
        return query + tf.transpose(keys, [0, 2, 1])  # [B, K, M]

    def _gather(self, weights, values):
        return super()._gather(weights, self._hidden(values))
