"""The recurrent decoder of RNNsearch."""

from typing import Any

import keras

from keras_s2s.decoders.context_readout import ContextReadoutDecoder
from keras_s2s.layers.dense import Linear

__all__ = ["RecurrentDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentDecoder(ContextReadoutDecoder):
    """Stacked GRU or LSTM layers; the last state attends to the memory before each update.

    At each position, with s the last output of the top layer: c = attention(s, memory); the inputs
    of the first layer are [y; c]; the output is tanh(W [s'; c; y] + b) with the new s'. With
    `attention="none"` c is the encoder's summary at every position, as in Cho et al.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention_units: width of the attention's hidden layer; U when None.
        bridge: `"dense"`, `"copy"` or `"zero"`, the source of the initial states, see `Bridge`.
        dropout: rate of dropout on inputs, between layers and on the output.
        attention: a name of `keras_s2s.attention.ATTENTIONS`, or a dict of it as `kind` and its
            arguments.
        residual_from: number of the first layer, from 2, whose input is added to its output; None
            for none.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}; A is the number of
        heads, 1 for other attention and 0 without; the alignment is then zeros.

    Raises:
        ValueError: for another `cell`, `bridge`, `attention` or `maps`; for sizes that are not
            positive integers; for a step before `build`.

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2 (the output layer with tanh in
    place of maxout); without attention: Cho et al. 2014, arXiv:1406.1078, section 2.2.

    Example:

    >>> from keras_s2s.decoders import RecurrentDecoder
    >>> RecurrentDecoder(4, attention={"kind": "multi_head", "num_heads": 2}).attention_names
    ['head 1', 'head 2']
    """

    CONFIG_NAMES = (*ContextReadoutDecoder.CONFIG_NAMES, "attention", "attention_units")

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "gru",
        attention_units: int | None = None,
        bridge: str = "dense",
        dropout: float = 0.0,
        attention: str | dict[str, Any] = "additive",
        residual_from: int | None = None,
        **kwargs: Any,
    ) -> None:
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

    def _extra_layers(self, input_width, context_width):
        projection = (self.context_projection, (None, context_width))
        return [projection, *super()._extra_layers(input_width, context_width)]

    def _advance(self, projected, state, memory, sizes, training):
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B * K, U]
        attended, weights, new_state = self._attend(last, sizes, memory, state, training)
        projected = projected + self.context_projection(attended)
        x, new_state["layer_0"] = self.cells[0](projected, state["layer_0"])
        x, upper_states = self._run_cells(x, state, training, first=1)
        return (x, attended), weights, {**new_state, **upper_states}
