"""Attention over source positions as probabilities of copies."""

import tensorflow as tf

__all__ = ["LOG_EPSILON", "copy_distribution", "spread_over_source"]

LOG_EPSILON = 1e-12  # floor of a copy probability before its logarithm


def copy_distribution(
    attention: tf.Tensor, copy_ids: tf.Tensor, size: tf.Tensor | int
) -> tf.Tensor:
    """Sums the attention to equal ids.

    Args:
        attention: float32 tensor [B, N, S], weights over source positions.
        copy_ids: int32 tensor [B, S], the column of each position.
        size: scalar, number of columns.

    Returns:
        float32 tensor [B, N, size].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.heads import copy_distribution
    >>> copy_distribution(tf.constant([[[0.5, 0.25, 0.25]]]), tf.constant([[2, 0, 2]]), 3).numpy()
    array([[[0.25, 0.  , 0.75]]], dtype=float32)
    """
    batch, count = tf.shape(attention)[0], tf.shape(attention)[1]
    rows = tf.reshape(tf.range(batch * count), [batch, count, 1]) * size
    index = rows + tf.expand_dims(copy_ids, 1)  # [B, N, S]
    flat = tf.scatter_nd(
        tf.reshape(index, [-1, 1]), tf.reshape(attention, [-1]), [batch * count * size]
    )
    return tf.reshape(flat, [batch, count, size])


def spread_over_source(
    weights: tf.Tensor, source_index: tf.Tensor | None, length: tf.Tensor | int
) -> tf.Tensor:
    """Attention over memory positions as attention over source positions.

    Args:
        weights: float32 tensor [B, N, M].
        source_index: int32 tensor [B, M], or None when memory and source positions are the same.
        length: scalar S.

    Returns:
        float32 tensor [B, N, S].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.heads import spread_over_source
    >>> spread_over_source(tf.constant([[[0.5, 0.5]]]), tf.constant([[0, 2]]), 3).numpy()
    array([[[0.5, 0. , 0.5]]], dtype=float32)
    """
    if source_index is None:
        return weights
    return copy_distribution(weights, source_index, length)
