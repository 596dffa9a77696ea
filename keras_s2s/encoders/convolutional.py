"""Convolutional encoders."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.convolutions import SQRT_HALF, GatedConvolution
from keras_s2s.layers.dense import make_linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.transformer_stack import check_absolute_positions, make_position_table


@keras.saving.register_keras_serializable("keras_s2s")
class ConvolutionalEncoder(Encoder):
    """Gated convolutions over the source vectors and their positions, each in a residual.

    e = W (x + p) + b; z^0 = e, z^l = (GLU(conv(z^(l-1))) + z^(l-1)) sqrt(1/2). The memory's keys
    are the z of the last layer, its values (z + e) sqrt(1/2). With `paired` two stacks read the
    same vectors: the keys are of the one, the values of the other, in the position-aware form.

    Args:
        units: width U of the layers and the memory.
        num_layers: number of layers; with `paired` of the stack of the keys.
        kernel_size: number of places that a layer's output sees.
        positions: what is added to the vectors, see `MeanEncoder`.
        dropout: share dropped of the vectors and of every layer's input in training.
        paired: None, or the number of layers of a second stack, of the values.
        source_end: as for `MeanEncoder`.
        normalized: whether the weights are normalised, see `keras_s2s.linear.NormalizedLinear`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values and keys [B, S, U], zero at padding, summary the mean of the values;
        no states.

    Raises:
        ValueError: for other positions, or sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, sections 3.1 to 3.3 and 3.5 (e is the
    embedding at the layers' width); paired: Gehring et al. 2016,
    arXiv:1611.02344, section 3.2 (there tanh in place of gates).
    """

    def __init__(
        self,
        units,
        num_layers=4,
        kernel_size=3,
        positions="learned",
        dropout=0.1,
        paired=None,
        source_end=True,
        normalized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers, kernel_size=kernel_size)
        if paired is not None:
            check_positive_integers(paired=paired)
        self.units, self.num_layers, self.kernel_size = units, num_layers, kernel_size
        self.positions, self.dropout, self.paired = positions, dropout, paired
        self.normalized = normalized
        self.width, self.position_kind = units, check_absolute_positions(positions)
        self._set_source_end(source_end)
        self.position_table = None
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.input_projection = make_linear(units, normalized, dtype=self.dtype_policy)
        self.layers = self._convolutions(num_layers)
        self.more_layers = self._convolutions(paired or 0)

    def _convolutions(self, count):
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

    def build(self, inputs_shape):
        if self.position_table is None:
            self.position_table = make_position_table(inputs_shape[-1], self.positions)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()
        if not self.input_projection.built:
            self.input_projection.build((None, inputs_shape[-1]))
        for layer in (*self.layers, *self.more_layers):
            if not layer.built:
                layer.build((None, None, self.units))

    def call(self, inputs, mask, maps="none", training=None):
        mask, places = self._read(mask), tf.range(tf.shape(inputs)[1])
        real = tf.expand_dims(mask, 2)
        x = add_positions(inputs, places, self.position_kind, False, self.position_table)
        embedded = self.input_projection(self.input_dropout(x, training=training))  # [B, S, U]
        embedded = tf.where(real, embedded, tf.zeros_like(embedded))
        keys = self._stack(self.layers, embedded, real, training)
        if self.paired is None:
            values = (keys + embedded) * SQRT_HALF
        else:
            values = self._stack(self.more_layers, embedded, real, training)
        return Memory(values, mask, masked_mean(values, mask), keys=keys)

    @staticmethod
    def _stack(layers, x, real, training):
        for layer in layers:
            x = (layer(x, training=training) + x) * SQRT_HALF
            x = tf.where(real, x, tf.zeros_like(x))
        return x

    def get_config(self):
        own = (
            "units",
            "num_layers",
            "kernel_size",
            "positions",
            "dropout",
            "paired",
            "source_end",
            "normalized",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
