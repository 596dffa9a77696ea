"""Encoders: source vectors -> `Memory`, the one thing that decoders see of a source."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_s2s import masks, recurrent
from keras_s2s.embeddings import place
from keras_s2s.linear import Dropout, check_sizes
from keras_s2s.transformer import TransformerLayer, check_stack, head_names, make_norm

__all__ = ["Memory", "RecurrentEncoder", "TransformerEncoder", "masked_mean"]


class Memory(NamedTuple):
    """What an encoder gives.

    Attributes:
        values: float tensor [B, M, D], one vector a place.
        mask: bool tensor [B, M], True = a real place.
        summary: float tensor [B, D], the source as one vector.
        states: nest of final states [B, ...] that a decoder may copy; empty where there are none.
        source_index: int32 tensor [B, M], the source position of each place; None when M = S.
        attention: float32 tensor [B, A, S, S], self-attention maps; None unless asked for.
    """

    values: tf.Tensor
    mask: tf.Tensor
    summary: tf.Tensor
    states: Any = ()
    source_index: tf.Tensor | None = None
    attention: tf.Tensor | None = None


def masked_mean(values, mask):
    """Mean over the real places: [B, M, D], [B, M] -> [B, D]; zeros for an empty row."""
    weights = tf.cast(tf.expand_dims(mask, 2), tf.float32)
    total = tf.reduce_sum(tf.cast(values, tf.float32) * weights, 1)
    return tf.cast(total / tf.maximum(tf.reduce_sum(weights, 1), 1.0), values.dtype)


class Encoder(keras.layers.Layer):
    """What every encoder is: `call(inputs [B, S, D], mask [B, S], maps) -> Memory`.

    Attributes:
        width: last axis of the memory's values and summary.
        attention_names: list of A strings, of the self-attention maps.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args, **kwargs):
        return None

    def _set_source_end(self, source_end):
        if not isinstance(source_end, bool):
            raise ValueError(f"source_end: expected True or False, came {source_end!r}")
        self.source_end = source_end

    def _read(self, mask):
        """The places that are read of those that are real."""
        return mask if self.source_end else masks.without_last(mask)


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentEncoder(Encoder):
    """Stacked GRU or LSTM layers over the source, in one or both directions.

    The summary is the top layer's final state, both directions side by side.

    Args:
        units: width U of each direction.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        bidirectional: read in both directions; the memory's width is then 2 U.
        dropout: share dropped of every layer's input in training.
        source_end: whether the last real token of a source, its end, is read; False leaves it
            out as if it were padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, S, U or 2 U] and states {"layer_0": {"h": [B, U or 2 U]}, ...}.

    Raises:
        ValueError: for another `cell`, or sizes that are not positive integers.

    Reference: Schuster and Paliwal 1997 (bidirectional); Bahdanau et al. 2015, arXiv:1409.0473,
    section 3.2.
    """

    def __init__(self, units, num_layers=1, cell="gru", bidirectional=True, dropout=0.0,
                 source_end=True, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        check_sizes(units=units, num_layers=num_layers)
        if not isinstance(bidirectional, bool):
            raise ValueError(f"bidirectional: expected True or False, came {bidirectional!r}")
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.bidirectional, self.dropout = bidirectional, dropout
        self._set_source_end(source_end)
        self.width = 2 * units if bidirectional else units
        self.forward_cells = self._cells(num_layers)
        self.backward_cells = self._cells(num_layers if bidirectional else 0)
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def _cells(self, count):
        return [
            recurrent.cell(self.cell, self.units, dtype=self.dtype_policy) for _ in range(count)
        ]

    def build(self, inputs_shape):
        for cells in (self.forward_cells, self.backward_cells):
            for index, cell in enumerate(cells):
                if not cell.built:
                    cell.build((None, self.width if index else inputs_shape[-1]))

    def call(self, inputs, mask, maps="none", training=None):
        states, mask = {}, self._read(mask)
        for index in range(self.num_layers):
            inputs = self.input_dropout(inputs, training=training)
            inputs, states[f"layer_{index}"] = self._layer(index, inputs, mask)  # [B, S, width]
        summary = states[f"layer_{self.num_layers - 1}"]["h"]
        return Memory(inputs, mask, summary, states)

    def _layer(self, index, inputs, mask):
        outputs, states = recurrent.run(self.forward_cells[index], inputs, mask)
        if not self.bidirectional:
            return outputs, states
        back, back_states = recurrent.run(self.backward_cells[index], inputs, mask, reverse=True)
        states = {name: tf.concat([states[name], back_states[name]], 1) for name in states}
        return tf.concat([outputs, back], 2), states

    def get_config(self):
        own = ("units", "num_layers", "cell", "bidirectional", "dropout", "source_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


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
        positions: `"sinusoidal"` or `"vaswani"`, see `keras_s2s.embeddings.sinusoidal`.
        scaled: whether the vectors are multiplied by the square root of D.
        first_position: number of the first token in the position signal.
        source_end: whether the last real token of a source, its end, is read; False leaves it
            out as if it were padding.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: `"all"` also gives the self-attention maps, layer by layer, head by head.

    Output:
        `Memory` with values [B, S, D], summary the mean over real tokens, no states.

    Raises:
        ValueError: for another `norm` or `positions`, numbers that do not do (`units` is even and a
            multiple of `num_heads`), or inputs of another width.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
    """

    def __init__(self, units, num_layers=6, num_heads=8, hidden_units=None, norm="pre",
                 activation="relu", dropout=0.1, epsilon=1e-6, positions="sinusoidal",
                 scaled=True, first_position=0, source_end=True, **kwargs):  # fmt: skip
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
        self.layers = [
            TransformerLayer(
                units,
                num_heads,
                hidden_units or 4 * units,
                False,
                norm,
                activation,
                dropout,
                epsilon,
                dtype=policy,
            )  # fmt: skip
            for _ in range(num_layers)
        ]
        self.final_norm = make_norm(policy, epsilon) if norm == "pre" else None
        self.input_dropout = Dropout(dropout, dtype=policy)
        self.attention_names = head_names(num_layers, num_heads)

    def build(self, inputs_shape):
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected source vectors of width {self.units} (units),"
                f" came {inputs_shape[-1]}"
            )
        for layer in [*self.layers, *([self.final_norm] if self.final_norm else [])]:
            if not layer.built:
                layer.build((None, None, self.units))

    def call(self, inputs, mask, maps="none", training=None):
        mask = self._read(mask)
        places = tf.range(tf.shape(inputs)[1]) + self.first_position
        x = place(inputs, places, self.positions, self.scaled)
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
        own = ("units", "num_layers", "num_heads", "hidden_units", "norm", "activation", "dropout",
               "epsilon", "positions", "scaled", "first_position", "source_end")  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
