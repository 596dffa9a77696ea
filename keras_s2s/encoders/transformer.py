"""The Transformer encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, check_flags, masked_mean
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.normalization import make_norm
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.transformer_stack import (
    check_stack,
    head_names,
    make_layers,
    make_position_table,
    parse_positions,
)

__all__ = ["TransformerEncoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerEncoder(Encoder):
    """Transformer layers over the scaled source vectors plus their positions.

    Args:
        units: width D of the layers and of the source vectors.
        num_layers: number of layers.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the hidden layer of the feed-forward layers; 4 D when None.
        norm: `"pre"` (with a final normalisation) or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: rate of dropout.
        epsilon: added to the variance in normalisations.
        positions: a kind, or a dict of `kind` and its arguments: `"sinusoidal"`, `"learned"`,
            `"relative"`, `"t5"`, `"rotary"`, `"alibi"`, ..., see
            `keras_s2s.layers.transformer_stack.parse_positions`.
        scaled: whether the vectors are multiplied by the square root of D.
        first_position: number of the first token in a position signal added to the vectors.
        source_end: whether the last real token of a source, its end, is encoded; False treats it
            as padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True at a real token.
        maps: `"all"` also returns the self-attention maps, layer by layer, head by head.

    Returns:
        `Memory` with values [B, S, D], summary the mean over real tokens, no states.

    Raises:
        ValueError: for another `norm` or `positions`, invalid sizes (`units` has to be a multiple
            of `num_heads`, and even with sinusoids), or inputs of another width.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders import TransformerEncoder
    >>> encoder = TransformerEncoder(8, num_layers=1, num_heads=2)
    >>> memory = encoder(tf.ones([2, 3, 8]), mask=tf.ones([2, 3], tf.bool), maps="all")
    >>> memory.attention.shape
    TensorShape([2, 2, 3, 3])
    """

    has_fixed_input_width = True

    def __init__(
        self,
        units: int,
        num_layers: int = 6,
        num_heads: int = 8,
        hidden_units: int | None = None,
        norm: str = "pre",
        activation: str = "relu",
        dropout: float = 0.1,
        epsilon: float = 1e-6,
        positions: str | dict[str, Any] = "sinusoidal",
        scaled: bool = True,
        first_position: int = 0,
        source_end: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_stack(
            units, num_layers, num_heads, hidden_units, epsilon, positions, scaled, first_position
        )
        self.units, self.num_layers, self.num_heads = units, num_layers, num_heads
        self.hidden_units, self.norm = hidden_units, norm
        self.activation, self.dropout, self.width = activation, dropout, units
        self.epsilon, self.positions, self.scaled = epsilon, positions, scaled
        self.first_position = first_position
        check_flags(source_end=source_end)
        self.source_end = source_end
        policy = self.dtype_policy
        self.layers = make_layers(self, False)
        self.position_kind, _ = parse_positions(positions)
        self.position_table = make_position_table(units, positions)
        self.final_norm = make_norm(policy, epsilon) if norm == "pre" else None
        self.input_dropout = Dropout(dropout, dtype=policy)
        self.attention_names = head_names(num_layers, num_heads)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        self._check_width(inputs_shape)
        for layer in (*self.layers, self.final_norm, self.position_table):
            if layer is not None and not layer.built:
                layer.build((None, None, self.units))

    def call(
        self, inputs: tf.Tensor, mask: tf.Tensor, maps: str = "none", training: bool | None = None
    ) -> Memory:
        mask = self._mask_source_end(mask)
        positions = tf.range(tf.shape(inputs)[1]) + self.first_position
        x = add_positions(inputs, positions, self.position_kind, self.scaled, self.position_table)
        x = self.input_dropout(x, training=training)
        attention = []
        for layer in self.layers:
            x, weights, _ = layer(x, mask=tf.expand_dims(mask, 1), training=training)
            attention.append(weights)  # [B, H, S, S]
        if self.final_norm:
            x = self.final_norm(x)
        attention = tf.concat(attention, 1) if maps == "all" else None
        return Memory(x, mask, masked_mean(x, mask), attention=attention)

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "num_heads",
            "hidden_units",
            "norm",
            "activation",
            "dropout",
            "epsilon",
            "positions",
            "scaled",
            "first_position",
            "source_end",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
