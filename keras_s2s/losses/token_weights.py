"""Weights of target positions."""

import tensorflow as tf

__all__ = ["token_weights"]


def token_weights(y: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
    """The weight of every target position.

    Args:
        y: int tensor [B, T], or float tensor [B, T, F] of frames.
        sample_weight: tensor [B, T]; [B], a weight for each row; or None, 1 everywhere.

    Returns:
        float32 tensor [B, T].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.losses.token_weights import token_weights
    >>> token_weights(tf.constant([[4, 5], [6, 7]]), tf.constant([1.0, 2.0])).numpy()
    array([[1., 1.],
           [2., 2.]], dtype=float32)
    """
    weights = tf.ones(tf.shape(y)[:2])
    if sample_weight is None:
        return weights
    sample_weight = tf.cast(sample_weight, tf.float32)
    if sample_weight.shape.rank == 1:
        sample_weight = tf.expand_dims(sample_weight, 1)
    return weights * sample_weight
