"""The recurrent decoder without attention."""

from typing import Any

import keras

from keras_s2s.decoders.cell_decoder import CellDecoder, merge_hypotheses
from keras_s2s.layers.shapes import leading_shape

__all__ = ["NoAttentionDecoder", "PlainDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class NoAttentionDecoder(CellDecoder):
    """Stacked cells that depend on the source through their initial states alone.

    The output is that of the top layer. Training runs one layer at a time over all positions.
    There is no attention: no maps, and an alignment of zeros.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        bridge: `"dense"`, `"copy"` or `"zero"`, the source of the initial states, see `Bridge`;
            `"copy"` is the paper's.
        dropout: rate of dropout on inputs, between layers and on the output.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}, zeros with A = 1 for
        `"alignment"` and A = 0 for `"all"`.

    Raises:
        ValueError: as `RecurrentDecoder`.

    Reference: Sutskever et al. 2014, arXiv:1409.3215, sections 2 and 3.

    Example:

    >>> from keras_s2s.decoders import NoAttentionDecoder
    >>> NoAttentionDecoder(4, num_layers=2).attention_names
    []
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "lstm",
        bridge: str = "dense",
        dropout: float = 0.0,
        residual_from: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, num_layers, cell, bridge, dropout, residual_from, **kwargs)

    def _advance(self, projected, state, memory, sizes, training):
        x, bottom_state = self.cells[0](projected, state["layer_0"])
        x, upper_states = self._run_cells(x, state, training, first=1)
        _, weights, _ = self._attend(x, sizes, memory, state, training)
        return (x,), weights, {"layer_0": bottom_state, **upper_states}

    def _all_positions(self, inputs, context, training, loop_backend):
        x, _ = self._run_cells(
            inputs, context["initial"], training, loop_backend=loop_backend
        )  # [B, T, U]
        sizes, memory = leading_shape(x, 2), self._attention_memory(context)
        _, weights, _ = self._attend(merge_hypotheses(x), sizes, memory, {}, None)
        return (x,), weights

    def _readout(self, readout_inputs, inputs):
        return readout_inputs[0]


# The former name, in saved models and in the imports of users.
PlainDecoder = NoAttentionDecoder
keras.saving.get_custom_objects()["keras_s2s>PlainDecoder"] = NoAttentionDecoder
