"""The mean encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags, masked_mean
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.transformer_stack import check_absolute_positions, make_position_table

__all__ = ["MeanEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class MeanEncoder(Encoder):
    """The source vectors themselves as the memory, and their mean as the summary.

    Args:
        units: width D of the source vectors.
        positions: `"none"`, or the position signal added to the vectors: `"sinusoidal"`,
            `"vaswani"` or `"learned"`, see `keras_s2s.layers.transformer_stack.parse_positions`.
        dropout: rate of dropout on the vectors.
        source_end: whether the last real token of a source, its end, is encoded; False treats it
            as padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: ignored; there are no self-attention maps.

    Returns:
        `Memory` with values [B, S, D], zero at padding, and summary [B, D]; no states.

    Raises:
        ValueError: for other positions, `units` that is not a positive integer, or inputs of
            another width.

    Reference: Gehring et al. 2016, arXiv:1611.02344, section 3.1 (pooling, of the whole source).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import MeanEncoder
    >>> MeanEncoder(4)(tf.ones([2, 3, 4]), mask=tf.ones([2, 3], tf.bool)).summary.shape
    TensorShape([2, 4])
    """

    has_fixed_input_width = True

    def __init__(
        self,
        units: int,
        positions: str | dict[str, Any] = "none",
        dropout: float = 0.0,
        source_end: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units)
        check_flags(source_end=source_end)
        self.units, self.positions, self.dropout = units, positions, dropout
        self.width, self.position_kind = units, check_absolute_positions(positions)
        self.source_end = source_end
        self.position_table = make_position_table(units, positions)
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        self._check_width(inputs_shape)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()

    def call(
        self, inputs: tf.Tensor, mask: tf.Tensor, maps: str = "none", training: bool | None = None
    ) -> Memory:
        mask, positions = self._mask_source_end(mask), tf.range(tf.shape(inputs)[1])
        x = add_positions(inputs, positions, self.position_kind, False, self.position_table)
        x = self.input_dropout(x, training=training)
        x = tf.where(tf.expand_dims(mask, 2), x, tf.zeros_like(x))
        return Memory(x, mask, masked_mean(x, mask))

    def get_config(self) -> dict[str, Any]:
        names = ("units", "positions", "dropout", "source_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
