"""The dense layer that every part is made of."""

import numbers

import keras
import tensorflow as tf

__all__ = ["Linear", "check_sizes"]


def check_sizes(**sizes):
    """Refuses what cannot be a width or a number of layers.

    Args:
        **sizes: name=value, the arguments to look at.

    Raises:
        ValueError: naming the first that is not a positive integer.
    """
    for name, value in sizes.items():
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ValueError(f"{name}: expected a positive integer, came {value!r}")


@keras.saving.register_keras_serializable("keras_s2s")
class Linear(keras.layers.Dense):
    """`keras.layers.Dense` whose product always runs on two-dimensional tensors.

    The leading axes are folded into one before the product. Inside a loop with unknown sizes that
    spares a dozen small operations a step, and XLA can differentiate it there, which it cannot do
    with the tensordot that Dense uses on three axes.

    Args:
        units: width of the output.
        **kwargs: as for `keras.layers.Dense` (`use_bias`, `activation`, `dtype`, ...).

    Call arguments:
        inputs: float tensor [..., D] with at least two axes.

    Output:
        float tensor [..., units].

    Raises:
        ValueError: from Keras, when the last axis of `inputs` is unknown at build time.
    """

    def call(self, inputs, training=None):
        if inputs.shape.rank == 2:
            return super().call(inputs, training=training)
        sizes = tf.shape(inputs)[:-1]
        flat = tf.reshape(inputs, [-1, inputs.shape[-1]])  # [N, D]
        outputs = super().call(flat, training=training)  # [N, units]
        outputs = tf.reshape(outputs, tf.concat([sizes, [self.units]], 0))
        outputs.set_shape([*inputs.shape[:-1], self.units])
        return outputs
