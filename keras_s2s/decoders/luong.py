"""The recurrent decoder of Luong et al. with attention after the cells."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder, merge_hypotheses
from keras_s2s.encoders.base import check_flags
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.shapes import leading_shape

__all__ = ["LuongDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class LuongDecoder(CellDecoder):
    """Stacked cells whose outputs attend to the memory.

    At each position h = cells(y), c = attention(h, memory), and the output is
    h~ = tanh(W_c [c; h] + b). With input feeding the inputs of the first layer are [y; h~ of the
    previous position], zeros at the first position. Without it, and with stateless attention,
    training runs one layer at a time over all positions, then the attention of all positions at
    once.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments; `"dot"` and `"scaled"` need a memory of width U.
        input_feeding: whether the previous output enters the first layer.
        bridge: `"dense"`, `"copy"` or `"zero"`, the source of the initial states, see `Bridge`.
        dropout: rate of dropout on inputs, between layers and on the output.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}.

    Raises:
        ValueError: as `RecurrentDecoder`; for an `input_feeding` that is not a boolean.

    Reference: Luong et al. 2015, arXiv:1508.04025, equation 5 and section 3.3.

    Example:

    >>> from keras_s2s.decoders import LuongDecoder
    >>> LuongDecoder(4, attention="general", input_feeding=False).has_attention
    True
    """

    CONFIG_NAMES = (*CellDecoder.CONFIG_NAMES, "attention", "input_feeding")

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "lstm",
        attention: str | dict[str, Any] = "general",
        input_feeding: bool = True,
        bridge: str = "dense",
        dropout: float = 0.0,
        residual_from: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        check_flags(input_feeding=input_feeding)
        self.input_feeding, policy = input_feeding, self.dtype_policy
        self.feed_projection = None
        if input_feeding:
            self.feed_projection = Linear(self.gates, use_bias=False, dtype=policy)
        self.readout = Linear(units, activation="tanh", dtype=policy)

    def _extra_layers(self, input_width, context_width):
        layers = [(self.readout, (None, context_width + self.units))]
        if self.input_feeding:
            layers.append((self.feed_projection, (None, self.units)))
        return layers

    def initial_state(
        self,
        context: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
    ) -> dict[str, Any]:
        state = super().initial_state(context, num_hypotheses, max_length)
        if self.input_feeding:
            state["fed"] = tf.zeros_like(state["layer_0"]["h"])
        return state

    def _advance(self, projected, state, memory, sizes, training):
        if self.input_feeding:
            projected = projected + self.feed_projection(state["fed"])
        x, bottom_state = self.cells[0](projected, state["layer_0"])
        x, upper_states = self._run_cells(x, state, training, first=1)
        attended, weights, new_state = self._attend(x, sizes, memory, state, training)
        outputs = self.readout(tf.concat([attended, x], 1))
        if self.input_feeding:
            new_state["fed"] = outputs
        return (outputs,), weights, {**new_state, "layer_0": bottom_state, **upper_states}

    def _readout_widths(self, context):
        return (self.units,)

    def _all_positions(self, inputs, context, training, loop_backend):
        if self.input_feeding or self.attention.stateful:
            return super()._all_positions(inputs, context, training, loop_backend)
        x, _ = self._run_cells(
            inputs, context["initial"], training, loop_backend=loop_backend
        )  # [B, T, U]
        sizes, memory = leading_shape(x, 2), self._attention_memory(context)
        attended, weights, _ = self._attend(merge_hypotheses(x), sizes, memory, {}, training)
        attended = tf.reshape(attended, [*sizes, attended.shape[-1]])
        return (self.readout(tf.concat([attended, x], 2)),), weights

    def _readout(self, readout_inputs, inputs):
        return readout_inputs[0]
