"""Recurrent decoders whose cells read what attention found: RNNsearch, conditional GRU, GNMT."""

import keras
import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.loop_backend import TENSORFLOW

__all__ = ["ConditionalDecoder", "GNMTDecoder", "RecurrentDecoder"]

WITH_ATTENTION = (*CellDecoder.OWN, "attention")


class _Reading(CellDecoder):
    """The output is tanh(W [s; c; y] + b)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.readout = Linear(self.units, activation="tanh", dtype=self.dtype_policy)

    def _parts(self, width, memory):
        return [(self.readout, (None, self.units + memory + width))]

    def _widths(self, context):
        return self.units, self._context_width(context)

    def _finish(self, seen, inputs):
        return self.readout(tf.concat([*seen, inputs], -1))


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentDecoder(_Reading):
    """Stacked GRU or LSTM layers that look at the memory before they move.

    At each position, with s the top layer's last output: c = attention(s, memory); the first layer
    reads [y; c]; the output is tanh(W [s'; c; y] + b) with the new s'. With `attention="none"` c
    is the encoder's summary at every position, as in Cho et al.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention_units: width of the attention's hidden layer; U when None.
        bridge: `"dense"`, `"copy"` or `"zero"`, how the encoder's end becomes the first state.
        dropout: share dropped of inputs, between layers and of the output in training.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}; A is the number of
        heads, 1 for other attention and 0 without; the alignment is then zeros.

    Raises:
        ValueError: for another `cell`, `bridge`, `attention` or `maps`; for sizes that are not
            positive integers; for a step before `build`.

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2 (the output layer with tanh in
    place of maxout); without attention: Cho et al. 2014, arXiv:1406.1078, section 2.2.
    """

    OWN = (*WITH_ATTENTION, "attention_units")

    def __init__(
        self,
        units,
        num_layers=1,
        cell="gru",
        attention_units=None,
        bridge="dense",
        dropout=0.0,
        attention="additive",
        residual_from=None,
        **kwargs,
    ):
        super().__init__(
            units,
            num_layers,
            cell,
            bridge,
            dropout,
            residual_from,
            attention,
            attention_units,
            **kwargs,
        )
        self.attention_units = attention_units

    def _make_projections(self):
        self.context_projection = Linear(self.gates, use_bias=False, dtype=self.dtype_policy)

    def _parts(self, width, memory):
        return [(self.context_projection, (None, memory)), *super()._parts(width, memory)]

    def _advance(self, projected, state, memory, sizes, training):
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B * K, U]
        seen, weights, new = self._attend(last, sizes, memory, state, training)
        projected = projected + self.context_projection(seen)
        top, new["layer_0"] = self.cells[0](projected, state["layer_0"])
        top, above = self._run_cells(top, state, training, first=1)
        return (top, seen), weights, {**new, **above}


@keras.saving.register_keras_serializable("keras_s2s")
class ConditionalDecoder(_Reading):
    """Two cells with attention between them, a conditional GRU, and layers above.

    At each position: s' = cell_1(y, s), c = attention(s', memory), s = cell_2(c, s'); layers above
    read s; the output is tanh(W [s; c; y] + b).

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers, the conditional one the first.
        cell: `"gru"` or `"lstm"`.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments.
        bridge: `"dense"`, `"copy"` or `"zero"`, how the encoder's end becomes the first state.
        dropout: share dropped of inputs, between layers and of the output in training.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}.

    Raises:
        ValueError: as `RecurrentDecoder`.

    Reference: Sennrich et al. 2017, arXiv:1703.04357, section 2 (Nematus).
    """

    OWN = WITH_ATTENTION

    def __init__(
        self,
        units,
        num_layers=1,
        cell="gru",
        attention="additive",
        bridge="dense",
        dropout=0.0,
        residual_from=None,
        **kwargs,
    ):
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        self.second = self._make_cell()

    def _parts(self, width, memory):
        return [(self.second, (None, memory)), *super()._parts(width, memory)]

    def _advance(self, projected, state, memory, sizes, training):
        query, between = self.cells[0](projected, state["layer_0"])
        seen, weights, new = self._attend(query, sizes, memory, state, training)
        top, new["layer_0"] = self.second(self.second.project(seen), between)
        top, above = self._run_cells(top, state, training, first=1)
        return (top, seen), weights, {**new, **above}


@keras.saving.register_keras_serializable("keras_s2s")
class GNMTDecoder(CellDecoder):
    """Stacked cells of which the lowest looks at the memory for all.

    At each position c = attention(the lowest layer's last output, memory) enters every layer beside
    its input; the output is the top layer's. Training runs the lowest layer and the attention in
    one loop, and the layers above after it.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments.
        bridge: `"dense"`, `"copy"` or `"zero"`, how the encoder's end becomes the first state.
        dropout: share dropped of inputs, between layers and of the output in training.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}.

    Raises:
        ValueError: as `RecurrentDecoder`.

    Reference: Wu et al. 2016, arXiv:1609.08144, sections 3 (equations 4 and figure 1) and 3.1.
    """

    OWN = WITH_ATTENTION

    def __init__(
        self,
        units,
        num_layers=8,
        cell="lstm",
        attention="additive",
        bridge="zero",
        dropout=0.0,
        residual_from=3,
        **kwargs,
    ):
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        self.context_projections = [
            Linear(self.gates, use_bias=False, dtype=self.dtype_policy) for _ in self.cells
        ]

    def _parts(self, width, memory):
        return [(layer, (None, memory)) for layer in self.context_projections]

    def _lowest(self, projected, state, memory, sizes, training):
        seen, weights, new = self._attend(state["layer_0"]["h"], sizes, memory, state, training)
        projected = projected + self.context_projections[0](seen)
        first, new["layer_0"] = self.cells[0](projected, state["layer_0"])
        return (first, seen), weights, {**state, **new}

    def _above(self, first, seen, states, training, loop_backend=TENSORFLOW):
        def more(index):
            return self.context_projections[index](seen)

        return self._run_cells(first, states, training, 1, more, loop_backend)

    def _advance(self, projected, state, memory, sizes, training):
        (first, seen), weights, new = self._lowest(projected, state, memory, sizes, training)
        top, above = self._above(first, seen, state, training)
        return (top,), weights, {**new, **above}

    def _whole(self, inputs, context, training, loop_backend):
        widths = self.units, self._context_width(context)
        (first, seen), weights = self._loop(
            inputs, context, training, self._lowest, widths, loop_backend
        )
        top, _ = self._above(first, seen, context["initial"], training, loop_backend)
        return (top,), weights

    def _finish(self, seen, inputs):
        return seen[0]
