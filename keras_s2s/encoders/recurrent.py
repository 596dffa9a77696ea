"""Recurrent encoders: stacked, and GNMT's."""

import keras
import tensorflow as tf

from keras_s2s.encoders.base import Encoder, Memory
from keras_s2s.layers import recurrent
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentEncoder(Encoder):
    """Stacked recurrent layers over the source, in one or both directions.

    The summary is the top layer's final state, both directions side by side.

    Args:
        units: width U of each direction.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`, or with layer normalisation `"layer_norm_gru"` or
            `"layer_norm_lstm"`.
        bidirectional: read in both directions; the memory's width is then 2 U.
        dropout: share dropped of every layer's input in training.
        source_end: whether the last real token of a source, its end, is read; False leaves it
            out as if it were padding.
        residual: add a layer's input to its output, from the second layer on.
        variational: draw what is dropped once for a sequence and not at each position, and drop of
            the states in the recurrent products too.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, S, U or 2 U] and states {"layer_0": {"h": [B, U or 2 U]}, ...}.

    Raises:
        ValueError: for another `cell`, sizes that are not positive integers, or a switch that is
            neither True nor False.

    Reference: Schuster and Paliwal 1997 (bidirectional); Bahdanau et al. 2015, arXiv:1409.0473,
    section 3.2; residual: Wu et al. 2016, arXiv:1609.08144, equation 6; variational: Gal and
    Ghahramani 2016, arXiv:1512.05287, section 4; layer normalisation: Ba et al. 2016,
    arXiv:1607.06450.
    """

    def __init__(
        self,
        units,
        num_layers=1,
        cell="gru",
        bidirectional=True,
        dropout=0.0,
        source_end=True,
        residual=False,
        variational=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers)
        self._check_switches(
            bidirectional=bidirectional, residual=residual, variational=variational
        )
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.bidirectional, self.dropout = bidirectional, dropout
        self.residual, self.variational = residual, variational
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
                    cell.build((None, self._width_before(index, inputs_shape[-1])))

    def _width_before(self, index, inputs_width):
        """Width of what a layer reads."""
        return self.width if index else inputs_width

    def call(self, inputs, mask, maps="none", training=None):
        states, mask = {}, self._read(mask)
        for index in range(self.num_layers):
            inputs, mask = self._between(index, inputs, mask)
            read = self._drop(inputs, training)
            outputs, states[f"layer_{index}"] = self._layer(index, read, mask, training)
            if self.residual and index:
                outputs += inputs
            inputs = outputs  # [B, S, width]
        summary = states[f"layer_{self.num_layers - 1}"]["h"]
        return Memory(inputs, mask, summary, states)

    def _between(self, index, inputs, mask):
        """What a layer reads of the layer below."""
        return inputs, mask

    def _drop(self, inputs, training):
        if not self.variational or not training:
            return self.input_dropout(inputs, training=training)
        return inputs * self._kept(tf.shape(inputs)[0], inputs.shape[-1], inputs.dtype)[:, None]

    def _kept(self, batch, width, dtype):
        """Factors [B, width] that dropout draws once for a sequence."""
        return self.input_dropout(tf.ones([batch, width], dtype), training=True)

    def _layer(self, index, inputs, mask, training):
        outputs, states = self._run(self.forward_cells[index], inputs, mask, training)
        if not self.bidirectional:
            return outputs, states
        back, back_states = self._run(self.backward_cells[index], inputs, mask, training, True)
        states = {name: tf.concat([states[name], back_states[name]], 1) for name in states}
        return tf.concat([outputs, back], 2), states

    def _run(self, cell, inputs, mask, training, reverse=False):
        kept = None
        if self.variational and training:
            kept = self._kept(tf.shape(inputs)[0], self.units, cell.compute_dtype)
        return recurrent.run(cell, inputs, mask, reverse, kept)

    def get_config(self):
        own = (
            "units",
            "num_layers",
            "cell",
            "bidirectional",
            "dropout",
            "source_end",
            "residual",
            "variational",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keras_s2s")
class GNMTEncoder(Encoder):
    """One bidirectional layer, then layers in one direction with residuals from the third on.

    The state of the first layer is that of its reader from right to left, so that every layer's
    has the same width and a decoder of as many layers can copy them.

    Args:
        units: width U of each direction and of the memory.
        num_layers: number of layers, at least 2.
        cell: as for `RecurrentEncoder`.
        dropout: share dropped of every layer's input in training.
        source_end: as for `RecurrentEncoder`.

    Call arguments:
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        maps: ignored; there are no self-attention maps.

    Output:
        `Memory` with values [B, S, U] and states {"layer_0": {"h": [B, U], ...}, ...}.

    Raises:
        ValueError: for another `cell`, sizes that are not positive integers, or one layer.

    Reference: Wu et al. 2016, arXiv:1609.08144, sections 3.1 and 3.2, figure 1.
    """

    def __init__(self, units, num_layers=8, cell="lstm", dropout=0.2, source_end=True, **kwargs):
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers)
        if num_layers < 2:
            raise ValueError(f"num_layers: expected at least 2, came {num_layers}")
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.dropout, self.width = dropout, units
        self._set_source_end(source_end)
        policy = self.dtype_policy
        self.bottom = RecurrentEncoder(units, 1, cell, True, dropout, source_end, dtype=policy)
        self.middle = RecurrentEncoder(units, 1, cell, False, dropout, dtype=policy)
        self.top = None
        if num_layers > 2:
            self.top = [
                RecurrentEncoder(units, 1, cell, False, dropout, dtype=policy)
                for _ in range(num_layers - 2)
            ]

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        for layer in (self.bottom, self.middle, *(self.top or [])):
            if not layer.built:
                layer.build((None, None, width))
            width = layer.width

    def call(self, inputs, mask, maps="none", training=None):
        below = self.bottom(inputs, mask=mask, training=training)
        last = {name: x[:, self.units :] for name, x in below.states["layer_0"].items()}
        memory = self.middle(below.values, mask=below.mask, training=training)
        values, states = memory.values, {"layer_0": last, "layer_1": memory.states["layer_0"]}
        for index, layer in enumerate(self.top or [], 2):
            memory = layer(values, mask=below.mask, training=training)
            values = values + memory.values  # [B, S, U]
            states[f"layer_{index}"] = memory.states["layer_0"]
        summary = states[f"layer_{self.num_layers - 1}"]["h"]
        return Memory(values, below.mask, summary, states)

    def get_config(self):
        own = ("units", "num_layers", "cell", "dropout", "source_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
