"""Relative positions as learned vectors."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.positions.base import AttentionPosition, distances
from keras_s2s.layers.argument_checks import check_positive_integers

__all__ = ["RelativePosition"]


@keras.saving.register_keras_serializable("keras_s2s")
class RelativePosition(AttentionPosition):
    """A learned vector for every distance up to a limit, added to the keys and to the values.

    score_ij = q_i (k_j + a_ij), output_i = sum_j w_ij (v_j + b_ij), the same for every head.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        max_distance: limit k; larger distances use the vector of k.

    Reference: Shaw et al. 2018, arXiv:1803.02155, equations 3 and 4.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import SelfAttention
    >>> from keras_s2s.attention.positions import RelativePosition
    >>> layer = SelfAttention(8, 2, position=RelativePosition(num_heads=2, size=4))
    >>> layer(tf.ones([3, 5, 8]))[0].shape
    TensorShape([3, 5, 8])
    """

    def __init__(
        self,
        num_heads: int,
        size: int,
        causal: bool = False,
        max_distance: int = 16,
        **kwargs: Any,
    ):
        super().__init__(num_heads, size, causal, **kwargs)
        check_positive_integers(max_distance=max_distance)
        self.max_distance = max_distance

    def build(self, inputs_shape: Any = None) -> None:
        shape = (2 * self.max_distance + 1, self.size)
        self.key_table = self.add_weight(name="key_table", shape=shape)
        self.value_table = self.add_weight(name="value_table", shape=shape)

    def bias(
        self, query: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor:
        vectors = self._vectors(self.key_table, query_positions, key_positions, query.dtype)
        return tf.cast(_multiply_by_query(query, tf.transpose(vectors, [0, 2, 1])), tf.float32)

    def values(
        self, weights: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor:
        vectors = self._vectors(
            self.value_table, query_positions, key_positions, self.compute_dtype
        )
        return _multiply_by_query(tf.cast(weights, vectors.dtype), vectors)

    def _vectors(self, table, query_positions, key_positions, dtype):
        limit = self.max_distance
        clipped = tf.clip_by_value(distances(query_positions, key_positions), -limit, limit)
        table = tf.cast(tf.convert_to_tensor(table), dtype)
        return tf.gather(table, clipped + limit)  # [Q, N, d]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_distance": self.max_distance}


def _multiply_by_query(tensor, matrices):
    """Product with a matrix per query: [..., Q, n], [Q, n, m] -> [..., Q, m]."""
    shape = tf.shape(tensor)
    rows = tf.reshape(tensor, tf.concat([[-1], shape[-2:]], 0))  # [X, Q, n]
    product = tf.matmul(tf.transpose(rows, [1, 0, 2]), matrices)  # [Q, X, m]
    product = tf.transpose(product, [1, 0, 2])
    return tf.reshape(product, tf.concat([shape[:-1], [tf.shape(matrices)[2]]], 0))
