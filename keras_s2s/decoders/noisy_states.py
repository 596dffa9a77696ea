"""The decoder over hidden states without a past."""

import keras
import tensorflow as tf

from keras_s2s.decoders.cell_decoder import CellDecoder
from keras_s2s.encoders.noisy_cell import NoisyCell
from keras_s2s.layers.dense import Linear

__all__ = ["NoisyStatesDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyStatesDecoder(CellDecoder):
    """States that each know one target token, and gated or linear attention beside them.

    At each position, with y_(t-1) the input and s_(t-1) the top layer's state before:
    attention(s_(t-1), memory) gives weights alpha_t over the inputs and the next context
    z_t = sum_j alpha_tj h_j; s_t = g(W_xs y_(t-1) + b_s) + noise, stacked: a layer reads the one
    below; o_t = tanh(W_hy s_(t-1) + U_hy y_(t-1) + b_hy). The first states are made of the
    encoder's context c, s_0 = tanh(W c + b).

    As the article writes it, neither s_t nor o_t reads z_t, and s_t has no recurrent term: the
    source reaches the first output alone. `read_context` adds + W_zs z_t to the first layer and
    + U_zy z_t to the output, `recurrent` adds + R s_(t-1); a model that shall translate needs one.

    Args:
        units: width U of the states and the output.
        num_layers: number of layers.
        attention: `"gated"`, `"linear"`, or another name of `keras_s2s.attention.ATTENTIONS`, or a
            dict of it as `kind` and its arguments.
        activation: Keras name of g.
        noise: scale of the noise, drawn from N(0, I) in training alone.
        recurrent: whether the state before has a say.
        read_context: whether the context z has a say.
        dropout: share dropped of inputs, between layers and of the output in training.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}.

    Raises:
        ValueError: as `RecurrentDecoder` and `NoisyCell`.

    Reference: an introduction to Seq2Seq models with attention, its decoder; the attention's
    forms: `GatedAttention`, `LinearAttention`.
    """

    OWN = (
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
        units,
        num_layers=1,
        attention="gated",
        activation="tanh",
        noise=0.1,
        recurrent=False,
        read_context=False,
        dropout=0.0,
        **kwargs,
    ):
        self.activation, self.noise, self.recurrent = activation, noise, recurrent
        super().__init__(units, num_layers, "noisy", "dense", dropout, None, attention, **kwargs)
        if not isinstance(read_context, bool):
            raise ValueError(f"read_context: expected True or False, came {read_context!r}")
        self.read_context, policy = read_context, self.dtype_policy
        self.context_projection = None
        if read_context:
            self.context_projection = Linear(units, use_bias=False, dtype=policy)
        self.readout = Linear(units, activation="tanh", dtype=policy)

    def _make_cell(self):
        return NoisyCell(
            self.units, self.activation, self.noise, self.recurrent, dtype=self.dtype_policy
        )

    def _parts(self, width, memory):
        if not self.read_context:
            return [(self.readout, (None, self.units + width))]
        readout = (None, self.units + memory + width)
        return [(self.readout, readout), (self.context_projection, (None, memory))]

    def _widths(self, context):
        return (self.units, self._context_width(context))[: 1 + self.read_context]

    def _advance(self, projected, state, memory, sizes, training):
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B * K, U]
        seen, weights, new = self._attend(last, sizes, memory, state, training)
        if self.read_context:
            projected = projected + self.context_projection(seen)
        top, new["layer_0"] = self.cells[0](projected, state["layer_0"], training=training)
        for index, cell in enumerate(self.cells[1:], 1):
            projected = cell.project(self.input_dropout(top, training=training))
            top, new[f"layer_{index}"] = cell(projected, state[f"layer_{index}"], training=training)
        return (last, seen)[: 1 + self.read_context], weights, new

    def _finish(self, seen, inputs):
        return self.readout(tf.concat([*seen, inputs], -1))
