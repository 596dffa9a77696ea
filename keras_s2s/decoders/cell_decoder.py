"""What the recurrent decoders share: the bridge, the cells, the loop."""

import tensorflow as tf

from keras_s2s.attention import make_attention
from keras_s2s.decoders.base import Decoder
from keras_s2s.decoders.bridges import Bridge
from keras_s2s.layers import recurrent
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.shapes import leading_shape


def flat(nest):
    """[B, K, D] leaves as [B * K, D]."""

    def one(leaf):
        batch, count, width = leading_shape(leaf, 3)
        return tf.reshape(leaf, [batch * count, width])

    return tf.nest.map_structure(one, nest)


class CellDecoder(Decoder):
    """Stacked cells between a bridge and an output of width `units`.

    A sub-class gives `_parts`, what it builds beside the shared; `_advance`, one position on flat
    tensors; and `_finish`, the output of what `_advance` gave. What it gives are vectors
    [B * K, D], of the widths that `_widths` names, and weights [B, A, K, M].
    """

    OWN = ("units", "num_layers", "cell", "bridge", "dropout", "residual_from")

    def __init__(
        self,
        units,
        num_layers,
        cell,
        bridge,
        dropout,
        residual_from,
        attention="none",
        attention_units=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        inner = units if attention_units is None else attention_units
        optional = {} if residual_from is None else {"residual_from": residual_from}
        check_positive_integers(
            units=units, num_layers=num_layers, attention_units=inner, **optional
        )
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.bridge, self.dropout, self.residual_from = bridge, dropout, residual_from
        self.width, policy = units, self.dtype_policy
        self.attention_kind = attention if isinstance(attention, str) else dict(attention)
        self.attention = make_attention(attention, inner, dtype=policy)
        self.has_attention = self.attention.has_attention
        self.attention_names = list(self.attention.map_names)
        self.cells = [self._make_cell() for _ in range(num_layers)]
        self.gates = self.cells[0].gates * units
        self._make_projections()  # here: an optimizer's state is saved in the order of the weights
        self.state_bridge = Bridge(
            num_layers, units, self.cells[0].state_names, bridge, dtype=policy
        )
        self.input_dropout = Dropout(dropout, dtype=policy)

    def _make_projections(self):
        """Makes what enters the cells beside their inputs, if there is any."""

    def _make_cell(self):
        return recurrent.cell(self.cell, self.units, dtype=self.dtype_policy)

    def build(self, inputs_shape, context_shape):
        width, memory = inputs_shape[-1], context_shape["memory"]["values"][-1]
        parts = [
            (self.attention, (None, None, self.units), None, (None, None, memory)),
            (self.state_bridge, (None, memory)),
            *((c, (None, self.units if i else width)) for i, c in enumerate(self.cells)),
            *self._parts(width, self.attention.context_width(memory)),
        ]
        for layer, *shapes in parts:
            if not layer.built:
                layer.build(*shapes)

    def alignment(self, attention):
        return tf.reduce_mean(attention, 1, keepdims=True)

    def select(self, attention, maps):
        # Without attention the alignment is zeros, and of no maps there are all.
        if maps == "all" and not self.has_attention:
            return attention[:, :0]
        return super().select(attention, maps)

    def prepare(self, memory, source, training=False):
        context = super().prepare(memory, source, training)
        context["attention"] = self.attention.prepare(memory)
        self.state_bridge.check(memory.states)  # here, where Keras adds nothing to the message
        context["initial"] = self.state_bridge(memory.summary, states=memory.states)
        return context

    def initial_state(self, context, num_hypotheses, max_length=None):
        def spread(leaf):
            return tf.repeat(tf.expand_dims(leaf, 1), num_hypotheses, 1)  # [B, K, U]

        state = tf.nest.map_structure(spread, context["initial"])
        if self.attention.stateful:
            memory = self._memory(context)
            state["attention"] = self.attention.initial_state(memory, num_hypotheses)
        return state

    def step(self, inputs, position, context, state, training=False, maps="none"):
        sizes, rows = leading_shape(inputs, 2), flat(self._inputs(inputs))  # [B * K, D]
        rows = self.input_dropout(rows, training=training)
        seen, weights, new = self._advance(
            self._project(rows), flat(state), self._memory(context), sizes, training
        )
        outputs = self.input_dropout(self._finish(seen, rows), training=training)

        def unflat(x):
            return tf.reshape(x, [*sizes, leading_shape(x, 2)[1]])

        new = tf.nest.map_structure(unflat, new)
        return unflat(outputs), new, self.select(weights, maps)

    def call(self, inputs, context, maps="none", training=None):
        inputs = self.input_dropout(self._inputs(inputs), training=training)
        seen, weights = self._whole(inputs, context, training)
        outputs = self.input_dropout(self._finish(seen, inputs), training=training)  # [B, T, U]
        cross = self.select(weights, maps)  # [B, A, T, M]
        return outputs, None if cross is None else {"cross": cross}

    def _whole(self, inputs, context, training):
        """Every position: vectors [B, T, D] and weights [B, A, T, M]."""
        return self._loop(inputs, context, training, self._advance, self._widths(context))

    def _loop(self, inputs, context, training, advance, widths):
        memory, sizes = self._memory(context), (tf.shape(inputs)[0], 1)

        def one(here, state):
            seen, weights, new = advance(here, state, memory, sizes, training)
            return (*seen, tf.squeeze(weights, 2)), new

        maps = max(len(self.attention_names), 1)
        like = [tf.TensorSpec([None, width], self.compute_dtype) for width in widths]
        (*seen, weights), _ = recurrent.unroll(
            one,
            self._project(inputs),
            flat(self.initial_state(context, 1)),
            (*like, tf.TensorSpec([None, maps, None], tf.float32)),
        )
        return seen, tf.transpose(weights, [0, 2, 1, 3])

    def _project(self, inputs):
        return self.cells[0].project(inputs)  # [..., gates * U]

    def _memory(self, context):
        return {**context["memory"], **context["attention"]}

    def _context_width(self, context):
        return self.attention.context_width(context["memory"]["values"].shape[-1])

    def _attend(self, query, sizes, memory, state, training):
        """Context, weights, and a new state that holds the attention's own."""
        seen, weights, kept = self.attention.attend(
            query, sizes, memory, state.get("attention", {}), training
        )
        return seen, weights, {"attention": kept} if self.attention.stateful else {}

    def _run_cells(self, x, states, training, first=0, more=None):
        """The cells from `first` on, over one position [N, D] or a sequence [B, T, D].

        With `more`, a function of the layer's number, what else enters its gates.
        """
        new = {}
        for index in range(first, self.num_layers):
            name, cell = f"layer_{index}", self.cells[index]
            inputs = self.input_dropout(x, training=training) if index else x
            projected = cell.project(inputs)
            if more is not None:
                projected += more(index)
            outputs, new[name] = _apply(cell, projected, states[name])
            residual = index and self.residual_from and index + 1 >= self.residual_from
            x = x + outputs if residual else outputs
        return x, new

    def get_config(self):
        own = {name: getattr(self, name) for name in self.OWN if name != "attention"}
        if "attention" in self.OWN:
            own["attention"] = self.attention_kind
        return {**super().get_config(), **own}


def _apply(cell, projected, states):
    if projected.shape.rank == 2:
        return cell(projected, states)
    like = tf.TensorSpec([None, cell.units], cell.compute_dtype)
    return recurrent.unroll(cell, projected, states, like)
