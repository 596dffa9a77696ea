"""Gated convolutions over time, over whole sequences and one position at a time."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import make_linear
from keras_s2s.layers.dropout import Dropout

__all__ = ["SQRT_HALF", "GatedConvolution"]

SQRT_HALF = math.sqrt(0.5)  # preserves the variance of a sum of two terms


@keras.saving.register_keras_serializable("keras_s2s")
class GatedConvolution(keras.layers.Layer):
    """Convolution over time with a gated linear unit.

    y_t = A * s(B) with [A; B] = W [x_(t-l); ...; x_(t+r)] + b, zeros beyond the ends: l + r =
    k - 1, all to the left with `causal`, else r = floor(k / 2).

    Args:
        units: width U of input and output.
        kernel_size: number k of positions that an output depends on.
        causal: whether an output depends only on its own position and the previous ones.
        dropout: fraction of the inputs dropped in training.
        normalized: whether W is weight-normalized, see `NormalizedLinear`.

    Call arguments:
        inputs: float tensor [B, N, U], zero at padding.

    Output:
        float tensor [B, N, U].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, section 3.2 and, for the initial weights,
    3.5; gate: Dauphin et al. 2016, arXiv:1612.08083.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.convolutions import GatedConvolution
    >>> GatedConvolution(4, kernel_size=3)(tf.ones([2, 5, 4])).shape
    TensorShape([2, 5, 4])
    """

    def __init__(
        self,
        units: int,
        kernel_size: int = 3,
        causal: bool = False,
        dropout: float = 0.0,
        normalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_positive_integers(units=units, kernel_size=kernel_size)
        self.units, self.kernel_size, self.causal = units, kernel_size, causal
        self.dropout, self.normalized, self.supports_masking = dropout, normalized, True
        initializer = keras.initializers.VarianceScaling(
            4.0 * (1.0 - dropout), "fan_in", "untruncated_normal"
        )
        self.projection = make_linear(
            2 * units, normalized, kernel_initializer=initializer, dtype=self.dtype_policy
        )
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        return None

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        if not self.projection.built:
            self.projection.build((None, self.kernel_size * self.units))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        x, length = self.input_dropout(inputs, training=training), tf.shape(inputs)[1]
        right = 0 if self.causal else self.kernel_size // 2
        x = tf.pad(x, [[0, 0], [self.kernel_size - 1 - right, right], [0, 0]])
        windows = [x[:, i : i + length] for i in range(self.kernel_size)]
        return self._gate(tf.concat(windows, 2))  # [B, N, U]

    def step(
        self, inputs: tf.Tensor, previous: tf.Tensor | None, **scale: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """One position of a causal convolution, without dropout.

        Args:
            inputs: float tensor [N, U].
            previous: float tensor [N, (k - 1) U], the previous inputs, the latest last; None when
                k is 1.
            scale: `scale=` of a `normalized` layer's projection, computed before the loop.

        Returns:
            float tensor [N, U], and `previous` of the next position.
        """
        if self.kernel_size == 1:  # LiteRT reads a slice of width zero as the whole tensor
            return self._gate(inputs, **scale), None
        window = tf.concat([previous, inputs], 1)
        return self._gate(window, **scale), window[:, self.units :]

    def _gate(self, window, **scale):
        linear, gate = tf.split(self.projection(window, **scale), 2, -1)
        return linear * tf.sigmoid(gate)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "kernel_size", "causal", "dropout", "normalized")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
