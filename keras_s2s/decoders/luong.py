"""Recurrent decoders whose cells do not wait for attention: Luong's, and one without any."""

import keras
import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder, flat
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.shapes import leading_shape

__all__ = ["LuongDecoder", "NoAttentionDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class LuongDecoder(CellDecoder):
    """Stacked cells, then attention of what they gave.

    At each position h = cells(y), c = attention(h, memory), and the output is
    h~ = tanh(W_c [c; h] + b). With input feeding the first layer reads [y; h~ of the position
    before], zeros at the first. Without it, and with an attention that has no state, training runs
    one layer at a time over all positions, then the attention of all positions at once.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments; a `"dot"` or `"scaled"` one needs a memory of width U.
        input_feeding: whether the output before enters the first layer.
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
        ValueError: as `RecurrentDecoder`; for an `input_feeding` that is no bool.

    Reference: Luong et al. 2015, arXiv:1508.04025, equation 5 and section 3.3.
    """

    OWN = (*CellDecoder.OWN, "attention", "input_feeding")

    def __init__(
        self,
        units,
        num_layers=1,
        cell="lstm",
        attention="general",
        input_feeding=True,
        bridge="dense",
        dropout=0.0,
        residual_from=None,
        **kwargs,
    ):
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        if not isinstance(input_feeding, bool):
            raise ValueError(f"input_feeding: expected True or False, came {input_feeding!r}")
        self.input_feeding, policy = input_feeding, self.dtype_policy
        self.feed_projection = None
        if input_feeding:
            self.feed_projection = Linear(self.gates, use_bias=False, dtype=policy)
        self.readout = Linear(units, activation="tanh", dtype=policy)

    def _parts(self, width, memory):
        parts = [(self.readout, (None, memory + self.units))]
        return parts + ([(self.feed_projection, (None, self.units))] if self.input_feeding else [])

    def initial_state(self, context, num_hypotheses, max_length=None):
        state = super().initial_state(context, num_hypotheses, max_length)
        if self.input_feeding:
            state["fed"] = tf.zeros_like(state["layer_0"]["h"])
        return state

    def _advance(self, projected, state, memory, sizes, training):
        if self.input_feeding:
            projected = projected + self.feed_projection(state["fed"])
        top, first = self.cells[0](projected, state["layer_0"])
        top, above = self._run_cells(top, state, training, first=1)
        seen, weights, new = self._attend(top, sizes, memory, state, training)
        outputs = self.readout(tf.concat([seen, top], 1))
        if self.input_feeding:
            new["fed"] = outputs
        return (outputs,), weights, {**new, "layer_0": first, **above}

    def _widths(self, context):
        return (self.units,)

    def _whole(self, inputs, context, training):
        if self.input_feeding or self.attention.stateful:
            return super()._whole(inputs, context, training)
        top, _ = self._run_cells(inputs, context["initial"], training)  # [B, T, U]
        sizes = leading_shape(top, 2)
        seen, weights, _ = self._attend(flat(top), sizes, self._memory(context), {}, training)
        seen = tf.reshape(seen, [*sizes, seen.shape[-1]])
        return (self.readout(tf.concat([seen, top], 2)),), weights

    def _finish(self, seen, inputs):
        return seen[0]


@keras.saving.register_keras_serializable("keras_s2s")
class NoAttentionDecoder(CellDecoder):
    """Stacked cells that know the source from their first states alone.

    The output is the top layer's. Training runs one layer at a time over all positions. There is
    no attention: no maps, and an alignment of zeros.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        bridge: `"dense"`, `"copy"` or `"zero"`, how the encoder's end becomes the first state;
            `"copy"` is the paper's.
        dropout: share dropped of inputs, between layers and of the output in training.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}, zeros with A = 1 for
        `"alignment"` and A = 0 for `"all"`.

    Raises:
        ValueError: as `RecurrentDecoder`.

    Reference: Sutskever et al. 2014, arXiv:1409.3215, sections 2 and 3.
    """

    def __init__(
        self,
        units,
        num_layers=1,
        cell="lstm",
        bridge="dense",
        dropout=0.0,
        residual_from=None,
        **kwargs,
    ):
        super().__init__(units, num_layers, cell, bridge, dropout, residual_from, **kwargs)

    def _parts(self, width, memory):
        return []

    def _advance(self, projected, state, memory, sizes, training):
        top, first = self.cells[0](projected, state["layer_0"])
        top, above = self._run_cells(top, state, training, first=1)
        _, weights, _ = self._attend(top, sizes, memory, state, training)
        return (top,), weights, {"layer_0": first, **above}

    def _whole(self, inputs, context, training):
        top, _ = self._run_cells(inputs, context["initial"], training)  # [B, T, U]
        _, weights, _ = self._attend(
            flat(top), leading_shape(top, 2), self._memory(context), {}, None
        )
        return (top,), weights

    def _finish(self, seen, inputs):
        return seen[0]
