"""Recurrent cells whose input product runs ahead of the loop, and the loop itself.

A cell is two doors: `project` does all that needs no state, for a whole sequence at once; the call
does the rest, one position at a time. Training projects a sequence once, a decoder's step projects
one position, and both then run the same code.
"""

import keras
import tensorflow as tf

from keras_s2s import arrays
from keras_s2s.linear import Linear

__all__ = ["GRUCell", "LSTMCell", "cell", "run", "unroll"]


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

    Output:
        output [N, U] and the new states.

    Reference: Cho et al. 2014, arXiv:1406.1078, equations 5 to 8 (reset after the product as in
    cuDNN).
    """

    gates = 3
    state_names = ("h",)

    def call(self, projected, states):
        hidden = states["h"]
        update_x, reset_x, new_x = tf.split(projected, 3, -1)
        update_h, reset_h, new_h = tf.split(self.recurrent_projection(hidden), 3, -1)
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

    Output:
        output [N, U] and the new states.

    Reference: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); Jozefowicz et al.
    2015 (its bias of 1).
    """

    gates = 4
    state_names = ("h", "c")

    def call(self, projected, states):
        gates = projected + self.recurrent_projection(states["h"])
        enter, forget, new, leave = tf.split(gates, 4, -1)
        memory = tf.sigmoid(forget + 1.0) * states["c"] + tf.sigmoid(enter) * tf.tanh(new)
        hidden = tf.sigmoid(leave) * tf.tanh(memory)
        return hidden, {"h": hidden, "c": memory}


CELLS = {"gru": GRUCell, "lstm": LSTMCell}


def cell(kind, units, **kwargs):
    """A cell by name.

    Args:
        kind: `"gru"` or `"lstm"`.
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
    columns = [arrays.readable(x) for x in flat]

    def place(count):
        return length - 1 - count if reverse else count

    def go(count, flat_states):
        here = [arrays.read(column, place(count)) for column in columns]
        here = tf.nest.pack_sequence_as(inputs, here)
        outputs, new = advance(here, tf.nest.pack_sequence_as(states, flat_states))
        return tf.nest.flatten(outputs), _same_shapes(tf.nest.flatten(new), flat_states)

    def body(count, written, flat_states):
        outputs, new = go(count, flat_states)
        written = [
            arrays.write(array, place(count), output, front=reverse)
            for array, output in zip(written, outputs)
        ]
        return count + 1, written, new

    specs, first = tf.nest.flatten(like), tf.nest.flatten(states)
    if arrays.are_growing():  # only its first element tells the sizes of a tensor that grows
        outputs, first = go(tf.constant(0), first)
        start = (tf.constant(1), [arrays.started(output) for output in outputs], first)
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
    stacked = [_columns_first(arrays.whole(array)) for array in written]  # [B, N, ...]
    return tf.nest.pack_sequence_as(like, stacked), tf.nest.pack_sequence_as(states, final)


def _columns_first(x):
    """A tensor with its first two axes exchanged."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _same_shapes(new, old):
    return [tf.cast(tf.ensure_shape(n, o.shape), o.dtype) for n, o in zip(new, old)]


def run(cell, inputs, mask, reverse=False):
    """A cell over a batch of sequences; where `mask` is False the states stand still.

    With padding on the right and `reverse` the states stay zero until the last real token.

    Args:
        cell: a cell of this room.
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        reverse: read from right to left.

    Returns:
        outputs [B, S, U], zero at padding, and the final states, a dict of [B, U].
    """
    projected = cell.project(inputs)  # [B, S, gates * U]
    states = cell.initial_states(tf.shape(inputs)[0])

    def advance(here, states):
        projected, real = here
        outputs, new = cell(projected, states)
        kept = {name: tf.where(real, new[name], states[name]) for name in states}
        return tf.where(real, outputs, tf.zeros_like(outputs)), kept

    like = tf.TensorSpec([None, cell.units], cell.compute_dtype)
    return unroll(advance, (projected, tf.expand_dims(mask, 2)), states, like, reverse)
