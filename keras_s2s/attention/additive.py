"""Additive attention."""

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.base import Attention
from keras_s2s.linear import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class AdditiveAttention(Attention):
    """Additive attention: e_ij = v^T tanh(W q_i + U k_j + b), weights = softmax_j(e_ij).

    `project` computes U k + b once for a memory; every call reuses it.

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
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.query_projection = Linear(units, use_bias=False, dtype=self.dtype_policy)
        self.key_projection = Linear(units, dtype=self.dtype_policy)
        self.score = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        for layer, width in (
            (self.query_projection, query_shape[-1]),
            (self.key_projection, values_shape[-1]),
            (self.score, self.units),
        ):
            if not layer.built:
                layer.build((None, width))

    def project(self, values):
        """U k + b of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.key_projection(values)

    def call(self, query, keys, values, mask=None):
        return self._attend(self.query_projection(query), keys, values, mask)

    def step(self, query, sizes, keys, values, mask=None):
        """What the call gives for K queries of each row, on flat tensors.

        Args:
            query: float tensor [B * K, D_q].
            sizes: B and K.
            keys, values, mask: as for the call.

        Returns:
            context [B * K, D_m] and float32 weights [B, K, M].
        """
        query = tf.reshape(self.query_projection(query), [*sizes, self.units])
        seen, weights = self._attend(query, keys, values, mask)
        return tf.reshape(seen, [-1, values.shape[-1]]), weights

    def _attend(self, query, keys, values, mask):
        hidden = functions.additive_scores(query, keys)  # [B, Q, M, A]
        scores = tf.reshape(self.score(tf.reshape(hidden, [-1, self.units])), tf.shape(hidden)[:3])
        weights = functions.masked_softmax(
            scores, None if mask is None else tf.expand_dims(mask, 1)
        )
        return tf.matmul(tf.cast(weights, values.dtype), values), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}
