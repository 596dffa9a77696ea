"""The decoder of Google's neural machine translation system."""

from typing import Any

import keras

from keras_s2s.decoders.cell_decoder import CellDecoder
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.loop_backend import TENSORFLOW

__all__ = ["GNMTDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class GNMTDecoder(CellDecoder):
    """Stacked cells; the bottom layer attends to the memory for all layers.

    At each position c = attention(last output of the bottom layer, memory) enters every layer
    beside its input; the output is that of the top layer. Training runs the bottom layer and the
    attention in one loop, and the layers above after it.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments.
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
        ValueError: as `RecurrentDecoder`.

    Reference: Wu et al. 2016, arXiv:1609.08144, sections 3 (equations 4 and figure 1) and 3.1.

    Example:

    >>> from keras_s2s.decoders import GNMTDecoder
    >>> GNMTDecoder(4, num_layers=3).attention_names
    ['attention']
    """

    CONFIG_NAMES = (*CellDecoder.CONFIG_NAMES, "attention")

    def __init__(
        self,
        units: int,
        num_layers: int = 8,
        cell: str = "lstm",
        attention: str | dict[str, Any] = "additive",
        bridge: str = "zero",
        dropout: float = 0.0,
        residual_from: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        self.context_projections = [
            Linear(self.gates, use_bias=False, dtype=self.dtype_policy) for _ in self.cells
        ]

    def _extra_layers(self, input_width, context_width):
        return [(layer, (None, context_width)) for layer in self.context_projections]

    def _advance_bottom_layer(self, projected, state, memory, sizes, training):
        """One position of the bottom layer and the attention; the state of all layers."""
        query = state["layer_0"]["h"]
        attended, weights, new_state = self._attend(query, sizes, memory, state, training)
        projected = projected + self.context_projections[0](attended)
        bottom, new_state["layer_0"] = self.cells[0](projected, state["layer_0"])
        return (bottom, attended), weights, {**state, **new_state}

    def _run_upper_layers(self, bottom, attended, states, training, loop_backend=TENSORFLOW):
        def gate_inputs(index):
            return self.context_projections[index](attended)

        return self._run_cells(bottom, states, training, 1, gate_inputs, loop_backend)

    def _advance(self, projected, state, memory, sizes, training):
        (bottom, attended), weights, new_state = self._advance_bottom_layer(
            projected, state, memory, sizes, training
        )
        top, upper_states = self._run_upper_layers(bottom, attended, state, training)
        return (top,), weights, {**new_state, **upper_states}

    def _all_positions(self, inputs, context, training, loop_backend):
        widths = self.units, self._context_width(context)
        (bottom, attended), weights = self._unroll(
            inputs, context, training, self._advance_bottom_layer, widths, loop_backend
        )
        top, _ = self._run_upper_layers(
            bottom, attended, context["initial"], training, loop_backend
        )
        return (top,), weights

    def _readout(self, readout_inputs, inputs):
        return readout_inputs[0]
