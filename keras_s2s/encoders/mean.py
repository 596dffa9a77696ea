"""The mean encoder."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.transformer_stack import check_absolute_positions, make_position_table


@keras.saving.register_keras_serializable("keras_s2s")
class MeanEncoder(Encoder):
    """The source vectors themselves as the memory, and their mean as its summary.

    Args:
        units: width D; the source vectors must have it too.
        positions: `"none"`, or what is added to the vectors: `"sinusoidal"`, `"vaswani"` or
            `"learned"`, see `keras_s2s.transformer.split_positions`.
        dropout: share dropped of the vectors in training.
        source_end: whether the last real token of a source, its end, is read; False leaves it
            out as if it were padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, S, D], zero at padding, and summary [B, D]; no states.

    Raises:
        ValueError: for other positions, `units` that is no positive integer, or inputs of another
            width.

    Reference: Gehring et al. 2016, arXiv:1611.02344, section 3.1 (pooling, of the whole source).
    """

    reads_own_width = True

    def __init__(self, units, positions="none", dropout=0.0, source_end=True, **kwargs):
        super().__init__(**kwargs)
        check_positive_integers(units=units)
        self.units, self.positions, self.dropout = units, positions, dropout
        self.width, self.position_kind = units, check_absolute_positions(positions)
        self._set_source_end(source_end)
        self.position_table = make_position_table(units, positions)
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        self._check_width(inputs_shape)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()

    def call(self, inputs, mask, maps="none", training=None):
        mask, places = self._read(mask), tf.range(tf.shape(inputs)[1])
        x = add_positions(inputs, places, self.position_kind, False, self.position_table)
        x = self.input_dropout(x, training=training)
        x = tf.where(tf.expand_dims(mask, 2), x, tf.zeros_like(x))
        return Memory(x, mask, masked_mean(x, mask))

    def get_config(self):
        own = ("units", "positions", "dropout", "source_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
