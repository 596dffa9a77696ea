"""Base of the positions inside self-attention."""

from typing import Any

import keras
import tensorflow as tf


class AttentionPosition(keras.layers.Layer):
    """Positions of queries and keys inside self-attention, counted from 0.

    `SelfAttention` calls `rotate`, `bias` and `values` for a whole sequence and for one position
    over a cache alike. The tensors [..., H, N, d] may have any leading axes.

    Args:
        num_heads: number of heads H.
        size: width d of a head.
        causal: whether a query attends only to its own position and the previous ones.
    """

    def __init__(self, num_heads: int, size: int, causal: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_heads, self.size, self.causal = num_heads, size, causal

    def build(self, inputs_shape: Any = None) -> None:
        """Most sub-classes have no weights."""

    def rotate(self, vectors: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Queries or keys [..., H, N, d] at `positions` [N], as the scores compare them."""
        return vectors

    def bias(
        self, query: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor | None:
        """float32 [..., H or 1, Q, N], added to the scores of scaled queries; None for nothing."""

    def values(
        self, weights: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor | None:
        """[..., H, Q, d], added to the attended values; None for nothing."""

    def get_config(self) -> dict[str, Any]:
        own = {"num_heads": self.num_heads, "size": self.size, "causal": self.causal}
        return {**super().get_config(), **own}


def distances(query_positions: tf.Tensor, key_positions: tf.Tensor) -> tf.Tensor:
    """Key position minus query position: int32 [Q, N]."""
    return tf.expand_dims(key_positions, 0) - tf.expand_dims(query_positions, 1)
