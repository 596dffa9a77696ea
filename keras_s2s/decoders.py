"""Decoders: one step function, and the whole sequence at once for training.

`prepare` makes the context, all that a source fixes; `initial_state` the state, all that a
hypothesis changes. Context leaves are [B, ...] and are never repeated for K hypotheses; state
leaves are [B, K, ...] and are what a search reorders. `step` gives at every position what `call`
gives there.
"""

import keras
import tensorflow as tf

from keras_s2s import masks, recurrent
from keras_s2s.attention import AdditiveAttention
from keras_s2s.embeddings import sinusoidal
from keras_s2s.linear import Linear
from keras_s2s.transformer import TransformerLayer, make_norm

__all__ = ["Bridge", "Decoder", "RecurrentDecoder", "TransformerDecoder"]

MAPS = ("none", "alignment", "all")


class Decoder(keras.layers.Layer):
    """What every decoder is.

    The context is a nested dict with at least `memory` {"values", "mask", "source_index"} and
    `source` (the model's source dict). Attention maps are [B, A, N, M]; `maps="alignment"` gives
    A = 1, the map that stands for the alignment, and `maps="all"` every map, named by
    `attention_names`.

    Attributes:
        width: last axis of the outputs.
        attention_names: list of A strings.
    """

    def __init__(self, **kwargs):
        # The context carries float32 leaves that must stay so: no cast on the way in.
        super().__init__(**{**kwargs, "autocast": False})
        self.supports_masking = True
        self.attention_names = []

    def compute_mask(self, *args, **kwargs):
        return None

    def prepare(self, memory, source, training=False):
        """Context of a `Memory`; sub-classes add what their layers need of it."""
        seen = {"values": memory.values, "mask": memory.mask, "source_index": memory.source_index}
        return {"memory": seen, "source": dict(source)}

    def alignment(self, attention):
        """The map that stands for the alignment: [B, A, N, M] -> [B, 1, N, M]."""
        return attention[:, :1]

    def select(self, attention, maps):
        """All maps [B, A, N, M] -> those that `maps` asks for, or None.

        Raises:
            ValueError: for another value of `maps`.
        """
        if maps not in MAPS:
            raise ValueError(f"maps: expected one of {', '.join(MAPS)}, came {maps!r}")
        if maps == "none" or attention is None:
            return None
        return self.alignment(attention) if maps == "alignment" else attention

    def _inputs(self, inputs):
        if not self.built:
            raise ValueError(f"{self.name}: build the decoder before its first step")
        return tf.cast(inputs, self.compute_dtype)


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
            leaves = self._copies(states)
        leaves = iter(leaves)
        return {f"layer_{i}": {name: next(leaves) for name in self.names} for i in range(self.cells)}

    def _copies(self, states):
        given = [dict(layer) for layer in dict(states or {}).values()]
        widths = [{name: leaf.shape[-1] for name, leaf in layer.items()} for layer in given]
        wanted = [dict.fromkeys(self.names, self.units)] * self.cells
        if widths != wanted:
            raise ValueError(
                f"bridge: 'copy' expected the encoder to end in states {wanted}, came {widths};"
                " use 'dense' or equal sizes"
            )
        return [layer[name] for layer in given for name in self.names]

    def get_config(self):
        own = {"cells": self.cells, "units": self.units, "names": list(self.names)}
        return {**super().get_config(), **own, "kind": self.kind}


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
        ValueError: for another `cell`, `bridge` or `maps`; for a step before `build`.

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2 (the output layer with tanh in
    place of maxout).
    """

    def __init__(self, units, num_layers=1, cell="gru", attention_units=None, bridge="dense",
                 dropout=0.0, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.attention_units, self.bridge, self.dropout = attention_units, bridge, dropout
        self.width, self.attention_names = units, ["attention"]
        policy = self.dtype_policy
        self.attention = AdditiveAttention(attention_units or units, dtype=policy)
        self.cells = [recurrent.cell(cell, units, dtype=policy) for _ in range(num_layers)]
        gates = self.cells[0].gates * units
        self.context_projection = Linear(gates, use_bias=False, dtype=policy)
        self.state_bridge = Bridge(num_layers, units, self.cells[0].state_names, bridge, dtype=policy)
        self.readout = Linear(units, activation="tanh", dtype=policy)
        self.input_dropout = keras.layers.Dropout(dropout, dtype=policy)

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
        context["keys"] = self.attention.project(memory.values)  # [B, M, A]
        context["initial"] = self.state_bridge(memory.summary, states=memory.states)
        return context

    def initial_state(self, context, num_hypotheses, max_length=None):
        def spread(leaf):
            return tf.repeat(tf.expand_dims(leaf, 1), num_hypotheses, 1)  # [B, K, U]

        return tf.nest.map_structure(spread, context["initial"])

    def step(self, inputs, position, context, state, training=False, maps="none"):
        inputs = self._inputs(inputs)
        projected = self.cells[0].project(inputs)  # [B, K, gates * U]
        (top, seen, weights), state = self._advance(projected, state, context, training)
        outputs = self.readout(tf.concat([top, seen, inputs], 2))
        return outputs, state, self.select(tf.expand_dims(weights, 1), maps)

    def call(self, inputs, context, maps="none", training=None):
        inputs = self.input_dropout(self._inputs(inputs), training=training)
        projected = tf.expand_dims(self.cells[0].project(inputs), 2)  # [B, T, 1, gates * U]
        values = context["memory"]["values"]
        like = (
            tf.TensorSpec([None, 1, self.units], self.compute_dtype),
            tf.TensorSpec([None, 1, values.shape[-1]], values.dtype),
            tf.TensorSpec([None, 1, None], tf.float32),
        )
        (top, seen, weights), _ = recurrent.unroll(
            lambda here, state: self._advance(here, state, context, training),
            projected, self.initial_state(context, 1), like,
        )  # fmt: skip
        outputs = tf.concat([tf.squeeze(top, 2), tf.squeeze(seen, 2), inputs], 2)
        outputs = self.input_dropout(self.readout(outputs), training=training)  # [B, T, U]
        cross = self.select(tf.transpose(weights, [0, 2, 1, 3]), maps)  # [B, 1, T, M]
        return outputs, None if cross is None else {"cross": cross}

    def _advance(self, projected, state, context, training):
        """One position of K hypotheses: the top layer's output, the attended memory, weights."""
        memory = context["memory"]
        last = state[f"layer_{self.num_layers - 1}"]["h"]  # [B, K, U]
        seen, weights = self.attention(
            last, context["keys"], memory["values"], mask=memory["mask"]
        )
        projected, new = projected + self.context_projection(seen), {}
        for index, cell in enumerate(self.cells):
            if index:
                projected = cell.project(self.input_dropout(top, training=training))
            top, new[f"layer_{index}"] = self._cell(cell, projected, state[f"layer_{index}"])
        return (top, seen, weights), new

    def _cell(self, cell, projected, states):
        shape = tf.shape(projected)

        def flat(x):
            return tf.reshape(x, [-1, x.shape[-1]])  # [B * K, ...]

        def unflat(x):
            return tf.reshape(x, [shape[0], shape[1], self.units])

        outputs, new = cell(flat(projected), {name: flat(x) for name, x in states.items()})
        return unflat(outputs), {name: unflat(x) for name, x in new.items()}

    def get_config(self):
        own = ("units", "num_layers", "cell", "attention_units", "bridge", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerDecoder(Decoder):
    """Transformer layers with a causal view of the target and cross-attention to the memory.

    The alignment is the mean over the heads of the last layer but one, or of the only layer.

    Args:
        units: width D; the target vectors must have it too.
        num_layers: number of layers L.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the feed-forward inner layer; 4 D when None.
        norm: `"pre"` (with a final normalisation) or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: share dropped in training.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, D] and None or {"cross": float32 [B, A, T, M]}, with `"all"` also
        {"self": float32 [B, A, T, T]} and A = L * H.

    Raises:
        ValueError: for another `norm` or `maps`, heads that do not divide `units`, inputs of
            another width, a step before `build`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; alignment: Garg et al. 2019,
    arXiv:1909.02074, section 4.2.
    """

    def __init__(self, units, num_layers=6, num_heads=8, hidden_units=None, norm="pre",
                 activation="relu", dropout=0.1, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.units, self.num_layers, self.num_heads = units, num_layers, num_heads
        self.hidden_units, self.norm = hidden_units, norm
        self.activation, self.dropout, self.width = activation, dropout, units
        policy = self.dtype_policy
        self.layers = [
            TransformerLayer(units, num_heads, hidden_units or 4 * units, True, norm, activation,
                             dropout, dtype=policy)  # fmt: skip
            for _ in range(num_layers)
        ]
        self.final_norm = make_norm(policy) if norm == "pre" else None
        self.input_dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.attention_names = [
            f"layer {layer + 1} head {head + 1}"
            for layer in range(num_layers)
            for head in range(num_heads)
        ]

    def build(self, inputs_shape, context_shape):
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected target vectors of width {self.units} (units), came {inputs_shape[-1]}"
            )
        memory_shape = (None, None, context_shape["memory"]["values"][-1])
        for layer in self.layers:
            if not layer.built:
                layer.build((None, None, self.units), memory_shape)
        if self.final_norm and not self.final_norm.built:
            self.final_norm.build((None, None, self.units))

    def alignment(self, attention):
        first = max(self.num_layers - 2, 0) * self.num_heads
        heads = attention[:, first : first + self.num_heads]
        return tf.reduce_mean(heads, 1, keepdims=True)

    def prepare(self, memory, source, training=False):
        context = super().prepare(memory, source, training)
        context["layers"] = {
            f"layer_{i}": layer.project(memory.values, memory.mask)
            for i, layer in enumerate(self.layers)
        }
        return context

    def initial_state(self, context, num_hypotheses, max_length=None):
        batch = tf.shape(context["memory"]["mask"])[0]
        return {
            f"layer_{i}": layer.self_attention.initial_cache(batch, num_hypotheses, max_length)
            for i, layer in enumerate(self.layers)
        }

    def step(self, inputs, position, context, state, training=False, maps="none"):
        x = self._embed(inputs, tf.reshape(position, [1]))  # [B, K, D]
        new, weights = {}, []
        for index, layer in enumerate(self.layers):
            name = f"layer_{index}"
            x, new[name], seen = layer.step(x, position, context["layers"][name], state[name])
            weights.append(seen)  # [B, H, K, M]
        return self._finish(x), new, self.select(tf.concat(weights, 1), maps)

    def call(self, inputs, context, maps="none", training=None):
        length = tf.shape(inputs)[1]
        x = self.input_dropout(self._embed(inputs, tf.range(length)), training=training)
        mask, own, cross = tf.expand_dims(masks.causal(length), 0), [], []
        for index, layer in enumerate(self.layers):
            memory = context["layers"][f"layer_{index}"]
            x, seen_self, seen_cross = layer(x, memory=memory, mask=mask, training=training)
            own.append(seen_self)  # [B, H, T, T]
            cross.append(seen_cross)  # [B, H, T, M]
        attention = self.select(tf.concat(cross, 1), maps)
        if attention is None:
            return self._finish(x), None
        maps_given = {"cross": attention}
        if maps == "all":
            maps_given["self"] = tf.concat(own, 1)
        return self._finish(x), maps_given

    def _embed(self, inputs, positions):
        signal = sinusoidal(positions, self.units)  # [N, D]
        inputs = self._inputs(inputs)
        return inputs * self.units**0.5 + tf.cast(signal, inputs.dtype)

    def _finish(self, x):
        return self.final_norm(x) if self.final_norm else x

    def get_config(self):
        own = ("units", "num_layers", "num_heads", "hidden_units", "norm", "activation", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
