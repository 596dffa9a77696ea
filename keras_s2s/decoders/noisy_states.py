"""A recurrent decoder of noisy hidden states."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder
from keras_s2s.encoders.base import check_flags
from keras_s2s.encoders.noisy_cell import NoisyCell
from keras_s2s.layers.dense import Linear

__all__ = ["NoisyStatesDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyStatesDecoder(CellDecoder):
    """Noisy hidden states of one target token each, with gated or linear attention.

    At each position, with y_(t-1) the input and s_(t-1) the previous state of the top layer:
    attention(s_(t-1), memory) gives weights alpha_t over the inputs and the next context
    z_t = sum_j alpha_tj h_j; s_t = g(W_xs y_(t-1) + b_s) + noise, stacked: each layer takes the
    states of the layer below; o_t = tanh(W_hy s_(t-1) + U_hy y_(t-1) + b_hy). The initial states
    come from the encoder's context c, s_0 = tanh(W c + b).

    As in the article, neither s_t nor o_t depends on z_t, and s_t has no recurrent term: the
    source reaches the first output alone. `read_context` adds + W_zs z_t to the first layer and
    + U_zy z_t to the output, `recurrent` adds + R s_(t-1); a model for translation needs one of
    them.

    Args:
        units: width U of the states and the output.
        num_layers: number of layers.
        attention: `"gated"`, `"linear"`, or another name of `keras_s2s.attention.ATTENTIONS`, or a
            dict of it as `kind` and its arguments.
        activation: Keras name of g.
        noise: standard deviation of the noise, drawn from N(0, I) in training only.
        recurrent: whether the previous state enters the new one.
        read_context: whether the context z enters the first layer and the output.
        dropout: rate of dropout on inputs, between layers and on the output.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}.

    Raises:
        ValueError: as `RecurrentDecoder` and `NoisyCell`.

    Reference: an introduction to Seq2Seq models with attention, its decoder; the attention's
    forms: `GatedAttention`, `LinearAttention`.

    Example:

    >>> from keras_s2s.decoders import NoisyStatesDecoder
    >>> NoisyStatesDecoder(4, recurrent=True, read_context=True).attention_names
    ['attention']
    """

    CONFIG_NAMES = (
        "units",
        "num_layers",
        "attention",
        "activation",
        "noise",
        "recurrent",
        "read_context",
        "dropout",
    )

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        attention: str | dict[str, Any] = "gated",
        activation: str = "tanh",
        noise: float = 0.1,
        recurrent: bool = False,
        read_context: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # First: the base class creates the cells, which take these.
        self.activation, self.noise, self.recurrent = activation, noise, recurrent
        super().__init__(units, num_layers, "noisy", "dense", dropout, None, attention, **kwargs)
        check_flags(read_context=read_context)
        self.read_context, policy = read_context, self.dtype_policy
        self.context_projection = None
        if read_context:
            self.context_projection = Linear(units, use_bias=False, dtype=policy)
        self.readout = Linear(units, activation="tanh", dtype=policy)

    def _make_cell(self):
        return NoisyCell(
            self.units, self.activation, self.noise, self.recurrent, dtype=self.dtype_policy
        )

    def _extra_layers(self, input_width, context_width):
        if not self.read_context:
            return [(self.readout, (None, self.units + input_width))]
        readout_shape = (None, self.units + context_width + input_width)
        return [
            (self.readout, readout_shape),
            (self.context_projection, (None, context_width)),
        ]

    def _readout_widths(self, context):
        if not self.read_context:
            return (self.units,)
        return self.units, self._context_width(context)

    def _advance(self, projected, state, memory, sizes, training):
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B * K, U]
        attended, weights, new_state = self._attend(last, sizes, memory, state, training)
        if self.read_context:
            projected = projected + self.context_projection(attended)
        x, new_state["layer_0"] = self.cells[0](projected, state["layer_0"], training=training)
        for index, cell in enumerate(self.cells[1:], 1):
            projected = cell.project(self.input_dropout(x, training=training))
            name = f"layer_{index}"
            x, new_state[name] = cell(projected, state[name], training=training)
        readout_inputs = (last, attended) if self.read_context else (last,)
        return readout_inputs, weights, new_state

    def _readout(self, readout_inputs, inputs):
        return self.readout(tf.concat([*readout_inputs, inputs], -1))
