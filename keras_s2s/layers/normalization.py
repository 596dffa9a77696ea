"""Layer normalization."""

from typing import Any

import keras
import tensorflow as tf

__all__ = ["LayerNormalization", "make_norm"]


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` over the last axis, in fewer passes over the inputs.

    Mean and variance are computed in float32 whatever the dtype policy.

    Call arguments:
        inputs: float tensor [..., D].

    Output:
        tensor of the inputs' shape, in the layer's compute dtype.

    Reference: Ba et al. 2016, arXiv:1607.06450.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.normalization import LayerNormalization
    >>> LayerNormalization()(tf.constant([[1.0, 3.0]])).numpy().round(2).tolist()
    [[-1.0, 1.0]]
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs = tf.cast(inputs, tf.float32)
        centered = inputs - tf.reduce_mean(inputs, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon) * tf.convert_to_tensor(self.gamma)
        return tf.cast(centered * scale + tf.convert_to_tensor(self.beta), self.compute_dtype)


def make_norm(policy: Any, epsilon: float = 1e-6) -> LayerNormalization:
    """Layer normalization with the epsilon that the Transformer layers use by default.

    Args:
        policy: dtype policy.
        epsilon: added to the variance.
    """
    return LayerNormalization(epsilon=epsilon, dtype=policy)
