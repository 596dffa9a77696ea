"""Shapes whose sizes may be known only at run time."""

import tensorflow as tf

__all__ = ["leading_shape"]


def leading_shape(inputs: tf.Tensor, count: int) -> list[int | tf.Tensor]:
    """First `count` sizes of a tensor: an int where it is static, a scalar tensor elsewhere.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.shapes import leading_shape
    >>> leading_shape(tf.zeros([2, 3, 4]), 2)
    [2, 3]
    """
    static = list(inputs.shape)[:count]
    dynamic = tf.shape(inputs) if None in static else None
    return [dynamic[axis] if size is None else size for axis, size in enumerate(static)]
