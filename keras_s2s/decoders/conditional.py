"""The conditional recurrent decoder of Nematus."""

from typing import Any

import keras

from keras_s2s.decoders.context_readout import ContextReadoutDecoder

__all__ = ["ConditionalDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class ConditionalDecoder(ContextReadoutDecoder):
    """Two cells with attention between them (a conditional GRU), and layers above.

    At each position: s' = cell_1(y, s), c = attention(s', memory), s = cell_2(c, s'); s is the
    input of the layers above; the output is tanh(W [s; c; y] + b).

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers, the conditional one the first.
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

    Reference: Sennrich et al. 2017, arXiv:1703.04357, section 2 (Nematus).

    Example:

    >>> from keras_s2s.decoders import ConditionalDecoder
    >>> ConditionalDecoder(4, num_layers=2).width
    4
    """

    CONFIG_NAMES = (*ContextReadoutDecoder.CONFIG_NAMES, "attention")

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "gru",
        attention: str | dict[str, Any] = "additive",
        bridge: str = "dense",
        dropout: float = 0.0,
        residual_from: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, num_layers, cell, bridge, dropout, residual_from, attention, **kwargs
        )
        self.second = self._make_cell()

    def _extra_layers(self, input_width, context_width):
        second = (self.second, (None, context_width))
        return [second, *super()._extra_layers(input_width, context_width)]

    def _advance(self, projected, state, memory, sizes, training):
        query, middle_state = self.cells[0](projected, state["layer_0"])
        attended, weights, new_state = self._attend(query, sizes, memory, state, training)
        x, new_state["layer_0"] = self.second(self.second.project(attended), middle_state)
        x, upper_states = self._run_cells(x, state, training, first=1)
        return (x, attended), weights, {**new_state, **upper_states}
