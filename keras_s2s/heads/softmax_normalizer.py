"""The normaliser of a softmax over large vocabularies."""

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["log_normalizer"]

NEAR = 60.0  # e^60 summed over a trillion tokens is still a float32, and e^-60 a normal one


def log_normalizer(
    logits: tf.Tensor,
    row_max: tf.Tensor | None = None,
    loop_backend: LoopBackend = TENSORFLOW,
) -> tf.Tensor:
    """log sum exp over the last axis, safe for logits of any size.

    Rows whose exponentials stay in the range of float32 are summed directly, which takes half the
    time of subtracting the largest logit first. The other rows use their largest probability,
    exp(max - normaliser), because softmax has a kernel of its own. They are gathered rather than
    branched to: a loop body without function calls runs faster. The value of a row never depends
    on other rows.

    Args:
        logits: float32 tensor [B, K, V].
        row_max: float32 tensor [B, K], the largest logit of each row, if it is known already.
        loop_backend: `LoopBackend` of the surrounding loop. Where shapes must not depend on
            values, or softmax is the faster kernel, all rows use their largest probability.

    Returns:
        float32 tensor [B, K].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.heads import log_normalizer
    >>> log_normalizer(tf.math.log([[[1.0, 3.0]]])).numpy().round(3) == round(1.386, 3)
    array([[ True]])
    """
    if row_max is None:
        row_max = tf.reduce_max(logits, -1)
    if not (loop_backend.has_dynamic_shapes and loop_backend.has_tensorflow_kernels):
        return row_max - tf.math.log(tf.reduce_max(tf.nn.softmax(logits), -1))
    far = tf.where(~(tf.abs(row_max) < NEAR))  # [R, 2]
    largest = tf.reduce_max(tf.nn.softmax(tf.gather_nd(logits, far)), -1)  # [R]
    far_values = tf.gather_nd(row_max, far) - tf.math.log(largest)
    values = tf.math.log(tf.reduce_sum(tf.exp(logits), -1))
    return tf.tensor_scatter_nd_update(values, far, far_values)
