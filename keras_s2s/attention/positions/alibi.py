"""Attention with linear biases (ALiBi)."""

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.attention.positions.base import AttentionPosition, distances

__all__ = ["AlibiPosition", "alibi_slopes"]


def alibi_slopes(num_heads: int) -> np.ndarray:
    """Slopes of the heads: 2^(-8/H), 2^(-16/H), ... when H is a power of two.

    For another number of heads, the slopes of the next lower power of two, followed by every other
    slope of the next higher one.

    Args:
        num_heads: number of heads H.

    Returns:
        float32 array [H].

    Reference: Press et al. 2022, arXiv:2108.12409, section 3.

    Example:

    >>> from keras_s2s.attention.positions import alibi_slopes
    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    power = 2 ** int(np.log2(num_heads))
    first = 2.0 ** (-8.0 / power * np.arange(1, power + 1))
    remaining = 2.0 ** (-4.0 / power * np.arange(1, 2 * (num_heads - power), 2))
    return np.concatenate([first, remaining]).astype("float32")


@keras.saving.register_keras_serializable("keras_s2s")
class AlibiPosition(AttentionPosition):
    """Scores decrease linearly with the distance, with a fixed slope per head.

    score_ij - m_h |i - j|. The paper's bias is for keys before the query; an encoder's decreases to
    both sides.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].

    Reference: Press et al. 2022, arXiv:2108.12409, section 3.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import SelfAttention
    >>> from keras_s2s.attention.positions import AlibiPosition
    >>> layer = SelfAttention(8, 2, position=AlibiPosition(num_heads=2, size=4))
    >>> layer(tf.ones([3, 5, 8]))[0].shape
    TensorShape([3, 5, 8])
    """

    def bias(
        self, query: tf.Tensor, query_positions: tf.Tensor, key_positions: tf.Tensor
    ) -> tf.Tensor:
        lengths = tf.cast(tf.abs(distances(query_positions, key_positions)), tf.float32)
        slopes = tf.reshape(tf.constant(alibi_slopes(self.num_heads)), [-1, 1, 1])
        return -slopes * lengths  # [H, Q, N]
