"""Dense layers and the product of a vocabulary projection."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.shapes import leading_shape

__all__ = ["Linear", "NormalizedLinear", "make_linear", "wide_product"]


@keras.saving.register_keras_serializable("keras_s2s")
class Linear(keras.layers.Dense):
    """`keras.layers.Dense` whose matrix product always runs on two-dimensional tensors.

    The leading axes are folded into one before the product. In a loop with dynamic sizes this
    saves a dozen small operations per step, and XLA can differentiate the product there; it cannot
    differentiate the tensordot that Dense uses on three axes.

    Args:
        units: width of the output.
        **kwargs: as for `keras.layers.Dense` (`use_bias`, `activation`, `dtype`, ...).

    Call arguments:
        inputs: float tensor [..., D] with at least two axes.

    Output:
        float tensor [..., units].

    Raises:
        ValueError: from Keras, when the last axis of `inputs` is unknown at build time.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.dense import Linear
    >>> Linear(4)(tf.ones([2, 3, 5])).shape
    TensorShape([2, 3, 4])
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if inputs.shape.rank == 2:
            return super().call(inputs, training=training)
        sizes = tf.shape(inputs)[:-1]
        rows = tf.reshape(inputs, [-1, inputs.shape[-1]])  # [N, D]
        outputs = super().call(rows, training=training)  # [N, units]
        outputs = tf.reshape(outputs, tf.concat([sizes, [self.units]], 0))
        outputs.set_shape([*inputs.shape[:-1], self.units])
        return outputs


@keras.saving.register_keras_serializable("keras_s2s")
class NormalizedLinear(Linear):
    """Dense layer with weight normalization: W = V diag(g / |v|).

    Every output has a length g and a direction v, a column of V. g starts as |v|, so the layer
    starts as a `Linear` with the same initial weights.

    Args:
        units: width of the output.
        **kwargs: as for `Linear`.

    Call arguments:
        inputs: float tensor [..., D] with at least two axes.
        scale: g / |v| as returned by `scale`, [N, units] with N the rows of `inputs` [N, D] or 1;
            a loop over steps computes it once. None computes it in the call.

    Output:
        float tensor [..., units].

    Raises:
        ValueError: from Keras, when the last axis of `inputs` is unknown at build time.

    Reference: Salimans & Kingma 2016, arXiv:1602.07868, section 2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.dense import NormalizedLinear
    >>> NormalizedLinear(4)(tf.ones([2, 3, 5])).shape
    TensorShape([2, 3, 4])
    """

    _frozen_scale = None

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        super().build(inputs_shape)
        self.gain = self.add_weight(
            name="gain", shape=(self.units,), initializer=lambda *a, **k: self._column_norms()
        )

    def scale(self) -> tf.Tensor:
        """Factors g / |v| of the columns of V, float32 [units]."""
        if self._frozen_scale is not None:
            return tf.convert_to_tensor(self._frozen_scale())
        return tf.cast(tf.convert_to_tensor(self.gain), tf.float32) / self._column_norms()

    def fix_scale(self) -> tf.Variable:
        """Freezes `scale` at its current value, for a layer whose weights are final.

        A second call updates the frozen value.

        Returns:
            the variable that holds the value. It is not saved; an export must track it.
        """
        variable = self._frozen_scale() if self._frozen_scale else None
        self._frozen_scale = None
        if variable is None:
            variable = tf.Variable(self.scale(), trainable=False)
        else:
            variable.assign(self.scale())
        self._frozen_scale = lambda: variable  # a function, so that Keras does not save it
        return variable

    def _column_norms(self) -> tf.Tensor:
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), tf.float32)
        return tf.sqrt(tf.reduce_sum(tf.square(kernel), 0) + 1e-12)  # no division by zero

    def call(
        self, inputs: tf.Tensor, scale: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), self.compute_dtype)
        sizes = leading_shape(inputs, inputs.shape.rank - 1)
        outputs = tf.matmul(tf.reshape(inputs, [-1, kernel.shape[0]]), kernel)  # [N, units]
        # The product is scaled instead of V, in training too: step and call then round alike.
        outputs *= tf.cast(self.scale() if scale is None else scale, self.compute_dtype)
        if self.use_bias:
            bias = tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)
            outputs = tf.nn.bias_add(outputs, bias)
        return self.activation(tf.reshape(outputs, [*sizes, self.units]))

    def save_own_variables(self, store: Any) -> None:
        keras.layers.Layer.save_own_variables(self, store)  # Dense saves kernel and bias only

    def load_own_variables(self, store: Any) -> None:
        keras.layers.Layer.load_own_variables(self, store)


def make_linear(units: int, normalized: bool = False, **kwargs: Any) -> Linear:
    """Makes a `NormalizedLinear` or a `Linear`.

    Args:
        units: width of the output.
        normalized: whether the weights are normalized.
        **kwargs: as for `Linear`.
    """
    return (NormalizedLinear if normalized else Linear)(units, **kwargs)


def wide_product(
    inputs: tf.Tensor,
    weights: tf.Tensor,
    bias: tf.Tensor,
    transposed: bool = False,
    gradient_dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Product with a wide matrix plus a bias: exact in float32, gradients in `gradient_dtype`.

    The logits of a vocabulary layer need float32. Its two gradient products, two thirds of its
    work, tolerate half precision under a mixed policy like those of every other layer. Product and
    bias are one operation, and the gradient of the bias is a product: each saves a pass over
    [..., V].

    Args:
        inputs: float32 tensor [..., D].
        weights: float32 tensor [D, V], or [V, D] when `transposed`.
        bias: float32 tensor [V].
        transposed: whether `weights` is [V, D].
        gradient_dtype: dtype of the gradient products; float32 unless it is bfloat16.

    Returns:
        float32 tensor [..., V].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.dense import wide_product
    >>> wide_product(tf.ones([2, 3, 4]), tf.ones([4, 7]), tf.zeros([7])).shape
    TensorShape([2, 3, 7])
    """
    width, columns = weights.shape[::-1] if transposed else weights.shape
    rows = tf.reshape(inputs, [-1, width])  # [N, D]
    narrow = gradient_dtype if gradient_dtype == tf.bfloat16 else tf.float32
    product = _affine(rows, weights, bias, transposed, narrow)  # [N, V]
    product = tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [columns]], 0))
    return tf.ensure_shape(product, [*inputs.shape[:-1], columns])


def _affine(rows, weights, bias, transposed, gradient_dtype):
    @tf.custom_gradient
    def affine(rows, weights, bias):
        def gradient(upstream):
            up, x, w = (tf.cast(t, gradient_dtype) for t in (upstream, rows, weights))
            rows_gradient = tf.matmul(up, w, transpose_b=not transposed)  # [N, D]
            if transposed:
                weights_gradient = tf.matmul(up, x, transpose_a=True)  # [V, D]
            else:
                weights_gradient = tf.matmul(x, up, transpose_a=True)  # [D, V]
            bias_gradient = tf.matmul(tf.ones([1, tf.shape(x)[0]]), upstream)[0]  # [V]
            return (
                tf.cast(rows_gradient, tf.float32),
                tf.cast(weights_gradient, tf.float32),
                bias_gradient,
            )

        return tf.nn.bias_add(tf.matmul(rows, weights, transpose_b=transposed), bias), gradient

    return affine(rows, weights, bias)
