"""Convolutional encoders."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags, masked_mean
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.convolutions import SQRT_HALF, GatedConvolution
from keras_s2s.layers.dense import make_linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.transformer_stack import check_absolute_positions, make_position_table

__all__ = ["ConvolutionalEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class ConvolutionalEncoder(Encoder):
    """Residual gated convolutions over the source vectors and their positions.

    e = W (x + p) + b; z^0 = e, z^l = (GLU(conv(z^(l-1))) + z^(l-1)) sqrt(1/2). The memory's keys
    are the z of the last layer, its values (z + e) sqrt(1/2). With `paired` there are two stacks
    over the same vectors: the first gives the keys, the second the values, in the position-aware
    form.

    Args:
        units: width U of the layers and the memory.
        num_layers: number of layers; with `paired` those of the keys.
        kernel_size: number of positions that an output of a layer sees.
        positions: position signal added to the vectors, see `MeanEncoder`.
        dropout: rate of dropout on the vectors and on the inputs of every layer.
        paired: None, or the number of layers of a second stack for the values.
        source_end: as for `MeanEncoder`.
        normalized: whether the weights are normalised, see `NormalizedLinear`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values and keys [B, S, U], zero at padding, summary the mean of the values;
        no states.

    Raises:
        ValueError: for other positions, or sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, sections 3.1 to 3.3 and 3.5 (e is the
    embedding at the layers' width); paired: Gehring et al. 2016,
    arXiv:1611.02344, section 3.2 (there tanh in place of gates).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import ConvolutionalEncoder
    >>> memory = ConvolutionalEncoder(4)(tf.ones([2, 3, 5]), mask=tf.ones([2, 3], tf.bool))
    >>> memory.keys.shape
    TensorShape([2, 3, 4])
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 4,
        kernel_size: int = 3,
        positions: str | dict[str, Any] = "learned",
        dropout: float = 0.1,
        paired: int | None = None,
        source_end: bool = True,
        normalized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers, kernel_size=kernel_size)
        if paired is not None:
            check_positive_integers(paired=paired)
        self.units, self.num_layers, self.kernel_size = units, num_layers, kernel_size
        self.positions, self.dropout, self.paired = positions, dropout, paired
        self.normalized = normalized
        self.width, self.position_kind = units, check_absolute_positions(positions)
        check_flags(source_end=source_end)
        self.source_end = source_end
        self.position_table = None
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.input_projection = make_linear(units, normalized, dtype=self.dtype_policy)
        self.layers = self._make_convolutions(num_layers)
        self.more_layers = self._make_convolutions(paired or 0)

    def _make_convolutions(self, count):
        return [
            GatedConvolution(
                self.units,
                self.kernel_size,
                False,
                self.dropout,
                self.normalized,
                dtype=self.dtype_policy,
            )
            for _ in range(count)
        ]

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        if self.position_table is None:
            self.position_table = make_position_table(inputs_shape[-1], self.positions)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()
        if not self.input_projection.built:
            self.input_projection.build((None, inputs_shape[-1]))
        for layer in (*self.layers, *self.more_layers):
            if not layer.built:
                layer.build((None, None, self.units))

    def call(
        self, inputs: tf.Tensor, mask: tf.Tensor, maps: str = "none", training: bool | None = None
    ) -> Memory:
        mask, positions = self._mask_source_end(mask), tf.range(tf.shape(inputs)[1])
        is_real = tf.expand_dims(mask, 2)  # [B, S, 1]
        x = add_positions(inputs, positions, self.position_kind, False, self.position_table)
        embedded = self.input_projection(self.input_dropout(x, training=training))  # [B, S, U]
        embedded = tf.where(is_real, embedded, tf.zeros_like(embedded))
        keys = self._convolve(self.layers, embedded, is_real, training)
        if self.paired is None:
            values = (keys + embedded) * SQRT_HALF
        else:
            values = self._convolve(self.more_layers, embedded, is_real, training)
        return Memory(values, mask, masked_mean(values, mask), keys=keys)

    @staticmethod
    def _convolve(layers, x, is_real, training):
        """A stack of residual convolutions over [B, S, U], zero at padding after every layer."""
        for layer in layers:
            x = (layer(x, training=training) + x) * SQRT_HALF
            x = tf.where(is_real, x, tf.zeros_like(x))
        return x

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "kernel_size",
            "positions",
            "dropout",
            "paired",
            "source_end",
            "normalized",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
