"""GRU and LSTM decoders with attention."""

import keras
import tensorflow as tf

from keras_s2s import recurrent
from keras_s2s.attention import AdditiveAttention
from keras_s2s.decoders.base import Decoder
from keras_s2s.linear import Dropout, Linear, check_sizes, shape_of

__all__ = ["Bridge", "RecurrentDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class Bridge(keras.layers.Layer):
    """First states of a recurrent decoder from what the encoder gives.

    Args:
        cells: number of decoder layers.
        units: width U of their states.
        names: names of the states of one layer, such as `("h", "c")`.
        kind: `"dense"`: tanh(W summary + b) for every state; `"copy"`: the encoder's own final
            states; `"zero"`: zeros.

    Call arguments:
        summary: float tensor [B, D].
        states: the memory's states; read by `"copy"` alone.

    Output:
        {"layer_0": {"h": [B, U], ...}, ...}.

    Raises:
        ValueError: for another `kind`, or a copy of states that do not fit.

    Reference: dense: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2; copy: Sutskever et al.
    2014, arXiv:1409.3215.
    """

    def __init__(self, cells, units, names, kind="dense", **kwargs):
        super().__init__(**kwargs)
        if kind not in ("dense", "copy", "zero"):
            raise ValueError(f"bridge: expected 'dense', 'copy' or 'zero', came {kind!r}")
        self.cells, self.units, self.names, self.kind = cells, units, tuple(names), kind
        self.projection = None
        if kind == "dense":
            width = cells * len(self.names) * units
            self.projection = Linear(width, activation="tanh", dtype=self.dtype_policy)

    def build(self, summary_shape, states_shape=None):
        if self.projection is not None and not self.projection.built:
            self.projection.build((None, summary_shape[-1]))

    def call(self, summary, states=None):
        count = self.cells * len(self.names)
        if self.kind == "dense":
            leaves = tf.split(self.projection(summary), count, 1)
        elif self.kind == "zero":
            leaves = [tf.zeros([tf.shape(summary)[0], self.units], self.compute_dtype)] * count
        else:
            self.check(states)
            leaves = [layer[name] for layer in states.values() for name in self.names]
        leaves = iter(leaves)
        return {
            f"layer_{i}": {name: next(leaves) for name in self.names} for i in range(self.cells)
        }

    def check(self, states):
        """Refuses a memory's states that `"copy"` cannot take over.

        Raises:
            ValueError: when they are of other widths, names or layers than the decoder's own.
        """
        layers = dict(states or {}).values()
        widths = [{name: leaf.shape[-1] for name, leaf in layer.items()} for layer in layers]
        wanted = [dict.fromkeys(self.names, self.units)] * self.cells
        if self.kind == "copy" and widths != wanted:
            raise ValueError(
                f"bridge: 'copy' expected the encoder to end in states {wanted}, came {widths};"
                " use 'dense' or equal sizes"
            )

    def get_config(self):
        own = {"cells": self.cells, "units": self.units, "names": list(self.names)}
        return {**super().get_config(), **own, "kind": self.kind}


def _flat(nest):
    """[B, K, ...] leaves as [B * K, ...]."""
    return tf.nest.map_structure(lambda x: tf.reshape(x, [-1, x.shape[-1]]), nest)


@keras.saving.register_keras_serializable("keras_s2s")
class RecurrentDecoder(Decoder):
    """Stacked GRU or LSTM layers with additive attention.

    At each position, with s the top layer's last output: c = attention(s, memory); the first layer
    reads [y; c]; the output is tanh(W [s'; c; y] + b) with the new s'.

    Args:
        units: width U of the cells and the output.
        num_layers: number of layers.
        cell: `"gru"` or `"lstm"`.
        attention_units: width of the attention's hidden layer; U when None.
        bridge: `"dense"`, `"copy"` or `"zero"`, how the encoder's end becomes the first state.
        dropout: share dropped of inputs, between layers and of the output in training.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, 1, T, M]}.

    Raises:
        ValueError: for another `cell`, `bridge` or `maps`; for sizes that are not positive
            integers; for a step before `build`.

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2 (the output layer with tanh in
    place of maxout).
    """

    def __init__(self, units, num_layers=1, cell="gru", attention_units=None, bridge="dense",
                 dropout=0.0, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        inner = units if attention_units is None else attention_units
        check_sizes(units=units, num_layers=num_layers, attention_units=inner)
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.attention_units, self.bridge, self.dropout = attention_units, bridge, dropout
        self.width, self.attention_names = units, ["attention"]
        policy = self.dtype_policy
        self.attention = AdditiveAttention(inner, dtype=policy)
        self.cells = [recurrent.cell(cell, units, dtype=policy) for _ in range(num_layers)]
        gates = self.cells[0].gates * units
        self.context_projection = Linear(gates, use_bias=False, dtype=policy)
        self.state_bridge = Bridge(
            num_layers, units, self.cells[0].state_names, bridge, dtype=policy
        )
        self.readout = Linear(units, activation="tanh", dtype=policy)
        self.input_dropout = Dropout(dropout, dtype=policy)

    def build(self, inputs_shape, context_shape):
        memory_shape = (None, None, context_shape["memory"]["values"][-1])
        width, memory = inputs_shape[-1], memory_shape[-1]
        parts = [
            (self.attention, (None, None, self.units), None, memory_shape),
            (self.context_projection, (None, memory)),
            (self.state_bridge, (None, memory)),
            (self.readout, (None, self.units + memory + width)),
        ]
        parts += [(c, (None, self.units if i else width)) for i, c in enumerate(self.cells)]
        for layer, *shapes in parts:
            if not layer.built:
                layer.build(*shapes)

    def prepare(self, memory, source, training=False):
        context = super().prepare(memory, source, training)
        context["keys"] = self.attention.project(memory.compared)  # [B, M, A]
        self.state_bridge.check(memory.states)  # here, where Keras adds nothing to the message
        context["initial"] = self.state_bridge(memory.summary, states=memory.states)
        return context

    def initial_state(self, context, num_hypotheses, max_length=None):
        def spread(leaf):
            return tf.repeat(tf.expand_dims(leaf, 1), num_hypotheses, 1)  # [B, K, U]

        return tf.nest.map_structure(spread, context["initial"])

    def step(self, inputs, position, context, state, training=False, maps="none"):
        sizes, rows = shape_of(inputs, 2), _flat(self._inputs(inputs))  # [B * K, D]
        rows = self.input_dropout(rows, training=training)
        (top, seen, weights), new = self._advance(
            self.cells[0].project(rows), _flat(state), context, sizes, training
        )
        outputs = self.readout(tf.concat([top, seen, rows], 1))
        outputs = self.input_dropout(outputs, training=training)

        def unflat(x):
            return tf.reshape(x, [*sizes, self.units])

        state = tf.nest.map_structure(unflat, new)
        return unflat(outputs), state, self.select(tf.expand_dims(weights, 1), maps)

    def call(self, inputs, context, maps="none", training=None):
        inputs = self.input_dropout(self._inputs(inputs), training=training)
        projected = self.cells[0].project(inputs)  # [B, T, gates * U]
        values, sizes = context["memory"]["values"], (tf.shape(inputs)[0], 1)
        like = (
            tf.TensorSpec([None, self.units], self.compute_dtype),
            tf.TensorSpec([None, values.shape[-1]], values.dtype),
            tf.TensorSpec([None, 1, None], tf.float32),
        )
        (top, seen, weights), _ = recurrent.unroll(
            lambda here, state: self._advance(here, state, context, sizes, training),
            projected, context["initial"], like,
        )  # fmt: skip
        outputs = tf.concat([top, seen, inputs], 2)
        outputs = self.input_dropout(self.readout(outputs), training=training)  # [B, T, U]
        cross = self.select(tf.transpose(weights, [0, 2, 1, 3]), maps)  # [B, 1, T, M]
        return outputs, None if cross is None else {"cross": cross}

    def _advance(self, projected, state, context, sizes, training):
        """One position of K hypotheses, all [B * K, ...] but the weights, which are [B, K, M].

        Gives the top layer's output, the attended memory and the weights, and the new state.
        """
        memory = context["memory"]
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B * K, U]
        seen, weights = self.attention.step(
            last, sizes, context["keys"], memory["values"], memory["mask"]
        )
        projected = projected + self.context_projection(seen)
        top, states = self.cells[0](projected, state["layer_0"])
        new = {"layer_0": states}
        for index, cell in enumerate(self.cells[1:], 1):
            projected = cell.project(self.input_dropout(top, training=training))
            top, new[f"layer_{index}"] = cell(projected, state[f"layer_{index}"])
        return (top, seen, weights), new

    def get_config(self):
        own = ("units", "num_layers", "cell", "attention_units", "bridge", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
