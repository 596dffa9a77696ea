"""Gated convolutions over time, whole and one position at a time."""

import math

import keras
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import make_linear
from keras_s2s.layers.dropout import Dropout

__all__ = ["SQRT_HALF", "GatedConvolution"]

SQRT_HALF = math.sqrt(0.5)  # keeps the variance of a sum of two


@keras.saving.register_keras_serializable("keras_s2s")
class GatedConvolution(keras.layers.Layer):
    """A convolution over time of twice the width, one half gating the other.

    y_t = A * s(B) with [A; B] = W [x_(t-l); ...; x_(t+r)] + b, zeros beyond the ends: l + r =
    k - 1, all to the left with `causal`, else r = floor(k / 2).

    Args:
        units: width U of input and output.
        kernel_size: number k of places that an output sees.
        causal: whether all of them are the output's own and those before it.
        dropout: share dropped of the inputs in training.
        normalized: whether W is normalised, see `NormalizedLinear`.

    Call arguments:
        inputs: float tensor [B, N, U], zero at padding.

    Output:
        float tensor [B, N, U].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, section 3.2 and, for the first weights, 3.5;
    gate: Dauphin et al. 2016, arXiv:1612.08083.
    """

    def __init__(self, units, kernel_size=3, causal=False, dropout=0.0, normalized=False, **kwargs):
        super().__init__(**kwargs)
        check_positive_integers(units=units, kernel_size=kernel_size)
        self.units, self.kernel_size, self.causal = units, kernel_size, causal
        self.dropout, self.normalized, self.supports_masking = dropout, normalized, True
        start = keras.initializers.VarianceScaling(
            4.0 * (1.0 - dropout), "fan_in", "untruncated_normal"
        )
        self.projection = make_linear(
            2 * units, normalized, kernel_initializer=start, dtype=self.dtype_policy
        )
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def compute_mask(self, *args, **kwargs):
        return None

    def build(self, inputs_shape):
        if not self.projection.built:
            self.projection.build((None, self.kernel_size * self.units))

    def call(self, inputs, training=None):
        x, length = self.input_dropout(inputs, training=training), tf.shape(inputs)[1]
        after = 0 if self.causal else self.kernel_size // 2
        x = tf.pad(x, [[0, 0], [self.kernel_size - 1 - after, after], [0, 0]])
        windows = [x[:, i : i + length] for i in range(self.kernel_size)]
        return self._gate(tf.concat(windows, 2))  # [B, N, U]

    def step(self, inputs, before, **scale):
        """One position, of a causal convolution and without dropout.

        Args:
            inputs: float tensor [N, U].
            before: float tensor [N, (k - 1) U], the inputs before it, the latest last; None where
                k is 1.
            scale: `scale=` of a `normalized` one's projection, made before the steps.

        Returns:
            float tensor [N, U], and `before` of the next position.
        """
        if self.kernel_size == 1:  # a slice of no width is one of the whole in LiteRT
            return self._gate(inputs, **scale), None
        window = tf.concat([before, inputs], 1)
        return self._gate(window, **scale), window[:, self.units :]

    def _gate(self, window, **scale):
        linear, gate = tf.split(self.projection(window, **scale), 2, -1)
        return linear * tf.sigmoid(gate)

    def get_config(self):
        own = ("units", "kernel_size", "causal", "dropout", "normalized")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
