"""Additive attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.memory_attention import MemoryAttention, build_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class AdditiveAttention(MemoryAttention):
    """Additive attention: e_ij = v^T tanh(W q_i + U k_j + b), weights = softmax_j(e_ij).

    `project` computes U k + b once per memory, and every call reuses it. Luong's `concat` score is
    the same function: a matrix over two concatenated vectors is a matrix over each.

    Args:
        units: width A of the hidden layer.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, section 3.1 and appendix A.1.2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import AdditiveAttention
    >>> layer, query, memory = AdditiveAttention(6), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> context, weights = layer(query, layer.project(memory), memory)
    >>> context.shape, weights.shape
    (TensorShape([2, 1, 8]), TensorShape([2, 1, 5]))
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        check_positive_integers(units=units)
        self.units = units
        self.query_projection = Linear(units, use_bias=False, dtype=self.dtype_policy)
        self.key_projection = Linear(units, dtype=self.dtype_policy)
        self.score = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        build_layers(
            (self.query_projection, query_shape[-1]),
            (self.key_projection, values_shape[-1]),
            (self.score, self.units),
        )

    def project(self, values: tf.Tensor) -> tf.Tensor:
        """U k + b of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.key_projection(values)

    def _query(self, query):
        return self.query_projection(query)

    def _scores(self, query, keys):
        return self._score(functions.additive_scores(query, keys))

    def _score(self, hidden):
        """v^T of a hidden layer: [B, K, M, A] -> [B, K, M]."""
        scores = self.score(tf.reshape(hidden, [-1, self.units]))
        return tf.reshape(scores, tf.shape(hidden)[:3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
