"""The Transformer encoder."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
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


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerEncoder(Encoder):
    """Transformer layers over the source vectors, scaled, plus sinusoidal positions.

    Args:
        units: width D; the source vectors must have it too.
        num_layers: number of layers.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the feed-forward inner layer; 4 D when None.
        norm: `"pre"` (with a final normalisation) or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: share dropped in training.
        epsilon: added to the variance in normalisations.
        positions: a kind or a dict of `kind` and its arguments, such as `"sinusoidal"`,
            `"learned"`, `"relative"`, `"t5"`, `"rotary"` or `"alibi"`, see
            `keras_s2s.transformer.split_positions`.
        scaled: whether the vectors are multiplied by the square root of D.
        first_position: number of the first token in a signal added to the vectors.
        source_end: whether the last real token of a source, its end, is read; False leaves it
            out as if it were padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: `"all"` also gives the self-attention maps, layer by layer, head by head.

    Output:
        `Memory` with values [B, S, D], summary the mean over real tokens, no states.

    Raises:
        ValueError: for another `norm` or `positions`, numbers that do not do (`units` is a multiple
            of `num_heads` and even with sinusoids), or inputs of another width.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
    """

    reads_own_width = True

    def __init__(
        self,
        units,
        num_layers=6,
        num_heads=8,
        hidden_units=None,
        norm="pre",
        activation="relu",
        dropout=0.1,
        epsilon=1e-6,
        positions="sinusoidal",
        scaled=True,
        first_position=0,
        source_end=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_stack(
            units, num_layers, num_heads, hidden_units, epsilon, positions, scaled, first_position
        )
        self.units, self.num_layers, self.num_heads = units, num_layers, num_heads
        self.hidden_units, self.norm = hidden_units, norm
        self.activation, self.dropout, self.width = activation, dropout, units
        self.epsilon, self.positions, self.scaled = epsilon, positions, scaled
        self.first_position = first_position
        self._set_source_end(source_end)
        policy = self.dtype_policy
        self.layers = make_layers(self, False)
        self.position_kind, _ = parse_positions(positions)
        self.position_table = make_position_table(units, positions)
        self.final_norm = make_norm(policy, epsilon) if norm == "pre" else None
        self.input_dropout = Dropout(dropout, dtype=policy)
        self.attention_names = head_names(num_layers, num_heads)

    def build(self, inputs_shape):
        self._check_width(inputs_shape)
        parts = [*self.layers, self.final_norm, self.position_table]
        for layer in (part for part in parts if part is not None):
            if not layer.built:
                layer.build((None, None, self.units))

    def call(self, inputs, mask, maps="none", training=None):
        mask = self._read(mask)
        places = tf.range(tf.shape(inputs)[1]) + self.first_position
        x = add_positions(inputs, places, self.position_kind, self.scaled, self.position_table)
        x = self.input_dropout(x, training=training)
        weights = []
        for layer in self.layers:
            x, seen, _ = layer(x, mask=tf.expand_dims(mask, 1), training=training)
            weights.append(seen)  # [B, H, S, S]
        if self.final_norm:
            x = self.final_norm(x)
        attention = tf.concat(weights, 1) if maps == "all" else None
        return Memory(x, mask, masked_mean(x, mask), (), None, attention)

    def get_config(self):
        own = (
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
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
