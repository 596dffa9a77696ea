"""Recurrent encoders."""

import keras
import tensorflow as tf

from keras_s2s import recurrent
from keras_s2s.encoders.base import Encoder, Memory
from keras_s2s.linear import Dropout, check_sizes


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
