"""Recurrent cells whose input product runs ahead of the loop, and the loop itself.

A cell is two doors: `project` does all that needs no state, for a whole sequence at once; the call
does the rest, one position at a time. Training projects a sequence once, a decoder's step projects
one position, and both then run the same code.
"""

import keras
import tensorflow as tf

from keras_s2s.layers import loop_backend
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.normalization import make_norm

__all__ = [
    "GRUCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "cell",
    "run",
    "unroll",
]


class _Cell(keras.layers.Layer):
    """A cell of `units` width: `gates` blocks of input and recurrent products."""

    gates = 0
    state_names = ()

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.input_projection = Linear(self.gates * units, dtype=self.dtype_policy)
        self.recurrent_projection = Linear(
            self.gates * units, kernel_initializer="orthogonal", dtype=self.dtype_policy
        )

    def build(self, inputs_shape, states_shape=None):
        for layer, width in (
            (self.input_projection, inputs_shape[-1]),
            (self.recurrent_projection, self.units),
        ):
            if not layer.built:
                layer.build((None, width))

    def project(self, inputs):
        """The input's share of the gates: [..., D] -> [..., gates * units]."""
        return self.input_projection(inputs)

    def recur(self, hidden, kept=None):
        """The state's share of the gates: [N, U], and [N, U] or None -> [N, gates * U]."""
        return self.recurrent_projection(hidden if kept is None else hidden * kept)

    def initial_states(self, batch):
        """Zeros: a dict of [B, units] for each of `state_names`."""
        zeros = tf.zeros([batch, self.units], self.compute_dtype)
        return dict.fromkeys(self.state_names, zeros)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("keras_s2s")
class GRUCell(_Cell):
    """Gated recurrent unit, the reset gate applied after the recurrent product.

    z = s(W_z x + U_z h), r = s(W_r x + U_r h), n = tanh(W_n x + r * (U_n h + b)),
    h' = z * h + (1 - z) * n.

    Args:
        units: width U of the state.

    Call arguments:
        projected: float tensor [N, 3 U], from `project`.
        states: {"h": float tensor [N, U]}.
        kept: float tensor [N, U], factors of h in the recurrent product alone; None for 1.

    Output:
        output [N, U] and the new states.

    Reference: Cho et al. 2014, arXiv:1406.1078, equations 5 to 8 (reset after the product as in
    cuDNN).
    """

    gates = 3
    state_names = ("h",)

    def call(self, projected, states, kept=None):
        hidden = states["h"]
        update_x, reset_x, new_x = tf.split(projected, 3, -1)
        update_h, reset_h, new_h = tf.split(self.recur(hidden, kept), 3, -1)
        update = tf.sigmoid(update_x + update_h)
        new = tf.tanh(new_x + tf.sigmoid(reset_x + reset_h) * new_h)
        hidden = new + update * (hidden - new)
        return hidden, {"h": hidden}


@keras.saving.register_keras_serializable("keras_s2s")
class LSTMCell(_Cell):
    """Long short-term memory without peepholes; the forget gate starts open.

    i, f, o = s(W x + U h + b), g = tanh(W_g x + U_g h + b_g), c' = f * c + i * g,
    h' = o * tanh(c').

    Args:
        units: width U of the state.

    Call arguments:
        projected: float tensor [N, 4 U], from `project`.
        states: {"h": float tensor [N, U], "c": float tensor [N, U]}.
        kept: float tensor [N, U], factors of h in the recurrent product alone; None for 1.

    Output:
        output [N, U] and the new states.

    Reference: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); Jozefowicz et al.
    2015 (its bias of 1).
    """

    gates = 4
    state_names = ("h", "c")

    def call(self, projected, states, kept=None):
        gates = projected + self.recur(states["h"], kept)
        enter, forget, new, leave = tf.split(gates, 4, -1)
        memory = tf.sigmoid(forget + 1.0) * states["c"] + tf.sigmoid(enter) * tf.tanh(new)
        hidden = tf.sigmoid(leave) * tf.tanh(self.expose(memory))
        return hidden, {"h": hidden, "c": memory}

    def expose(self, memory):
        """What the output gate lets out: [N, U] -> [N, U]."""
        return memory


class _LayerNorm(_Cell):
    """Normalises both products, gate group by gate group, before they are added up."""

    groups = ()  # gates of each group

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        policy = self.dtype_policy
        self.input_norms = [make_norm(policy, 1e-5) for _ in self.groups]
        self.recurrent_norms = [make_norm(policy, 1e-5) for _ in self.groups]

    def build(self, inputs_shape, states_shape=None):
        super().build(inputs_shape, states_shape)
        for norms in (self.input_norms, self.recurrent_norms):
            for norm, count in zip(norms, self.groups):
                if not norm.built:
                    norm.build((None, count * self.units))

    def project(self, inputs):
        return self._normalise(super().project(inputs), self.input_norms)

    def recur(self, hidden, kept=None):
        return self._normalise(super().recur(hidden, kept), self.recurrent_norms)

    def _normalise(self, products, norms):
        parts = tf.split(products, [count * self.units for count in self.groups], -1)
        return tf.concat([norm(part) for norm, part in zip(norms, parts)], -1)


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormGRUCell(_LayerNorm, GRUCell):
    """`GRUCell` whose products are normalised: LN(W x) and LN(U h), [z; r] apart from n.

    Args:
        units: width U of the state.

    Call arguments:
        projected, states, kept: as for `GRUCell`, float tensors [N, 3 U], [N, U] and [N, U].

    Output:
        output [N, U] and the new states.

    Reference: Ba et al. 2016, arXiv:1607.06450, supplementary material.
    """

    groups = (2, 1)


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormLSTMCell(_LayerNorm, LSTMCell):
    """`LSTMCell` whose products are normalised, LN(W x) + LN(U h), and what its memory lets out.

    h' = o * tanh(LN(c')).

    Args:
        units: width U of the state.

    Call arguments:
        projected, states, kept: as for `LSTMCell`, float tensors [N, 4 U], [N, U] and [N, U].

    Output:
        output [N, U] and the new states.

    Reference: Ba et al. 2016, arXiv:1607.06450, supplementary material.
    """

    groups = (4,)

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.memory_norm = make_norm(self.dtype_policy, 1e-5)

    def build(self, inputs_shape, states_shape=None):
        super().build(inputs_shape, states_shape)
        if not self.memory_norm.built:
            self.memory_norm.build((None, self.units))

    def expose(self, memory):
        return self.memory_norm(memory)


CELLS = {
    "gru": GRUCell,
    "lstm": LSTMCell,
    "layer_norm_gru": LayerNormGRUCell,
    "layer_norm_lstm": LayerNormLSTMCell,
}


def cell(kind, units, **kwargs):
    """A cell by name.

    Args:
        kind: `"gru"`, `"lstm"`, `"layer_norm_gru"` or `"layer_norm_lstm"`.
        units: width of its state.

    Raises:
        ValueError: for another name.
    """
    if kind not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, came {kind!r}")
    return CELLS[kind](units, **kwargs)


def unroll(advance, inputs, states, like, reverse=False):
    """Runs `advance` along the second axis: the one loop over time of the package.

    Args:
        advance: function (inputs of one position, states) -> (outputs, states).
        inputs: nest of tensors [B, N, ...]; a graph needs N of 1 at least.
        states: nest of tensors; `advance` keeps their shapes and dtypes.
        like: nest of `tf.TensorSpec`, the outputs of one position.
        reverse: run from the last position to the first; outputs keep the order of the inputs.

    Returns:
        outputs, a nest like `like` with the positions as a new second axis, and the final states.
    """
    flat = [_columns_first(x) for x in tf.nest.flatten(inputs)]  # [N, B, ...]
    length = tf.shape(flat[0])[0]
    columns = [loop_backend.readable(x) for x in flat]

    def place(count):
        return length - 1 - count if reverse else count

    def go(count, flat_states):
        here = [loop_backend.read(column, place(count)) for column in columns]
        here = tf.nest.pack_sequence_as(inputs, here)
        outputs, new = advance(here, tf.nest.pack_sequence_as(states, flat_states))
        return tf.nest.flatten(outputs), _same_shapes(tf.nest.flatten(new), flat_states)

    def body(count, written, flat_states):
        outputs, new = go(count, flat_states)
        written = [
            loop_backend.write(array, place(count), output)
            for array, output in zip(written, outputs)
        ]
        return count + 1, written, new

    specs, first = tf.nest.flatten(like), tf.nest.flatten(states)
    if loop_backend.are_growing():  # only its first element tells the sizes of a tensor
        outputs, first = go(tf.constant(0), first)
        written = [loop_backend.started(output, place(0), length) for output in outputs]
        start = (tf.constant(1), written, first)
        grown = [tf.TensorShape([None, *spec.shape]) for spec in specs]
        shapes = (tf.TensorShape([]), grown, [x.shape for x in first])
    else:
        written = [tf.TensorArray(s.dtype, length, element_shape=s.shape) for s in specs]
        start, shapes = (tf.constant(0), written, first), None
    _, written, final = tf.while_loop(
        lambda count, *_: count < length,
        body,
        start,
        shape_invariants=shapes,
        maximum_iterations=length,
    )
    stacked = [_columns_first(loop_backend.whole(array)) for array in written]  # [B, N, ...]
    return tf.nest.pack_sequence_as(like, stacked), tf.nest.pack_sequence_as(states, final)


def _columns_first(x):
    """A tensor with its first two axes exchanged."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _same_shapes(new, old):
    return [tf.cast(tf.ensure_shape(n, o.shape), o.dtype) for n, o in zip(new, old)]


def run(cell, inputs, mask, reverse=False, kept=None):
    """A cell over a batch of sequences; where `mask` is False the states stand still.

    With padding on the right and `reverse` the states stay zero until the last real token.

    Args:
        cell: a cell of this room.
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        reverse: read from right to left.
        kept: float tensor [B, U], factors of h in every recurrent product, which is how
            variational dropout has it (Gal and Ghahramani 2016, arXiv:1512.05287, section 4).

    Returns:
        outputs [B, S, U], zero at padding, and the final states, a dict of [B, U].
    """
    projected = cell.project(inputs)  # [B, S, gates * U]
    states = cell.initial_states(tf.shape(inputs)[0])

    def advance(here, states):
        projected, real = here
        outputs, new = cell(projected, states, kept=kept)
        new = {name: tf.where(real, new[name], states[name]) for name in states}
        return tf.where(real, outputs, tf.zeros_like(outputs)), new

    like = tf.TensorSpec([None, cell.units], cell.compute_dtype)
    return unroll(advance, (projected, tf.expand_dims(mask, 2)), states, like, reverse)
