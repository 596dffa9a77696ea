"""Recurrent cells, whose input products run ahead of the loop, and the loop over time.

A cell has two entry points. `project` computes everything that needs no state, for a whole sequence
at once; `call` computes the rest, one position at a time. Training projects a sequence once, a
decoder's step projects one position, and both run the same code afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.dense import Linear
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
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
    """Base class of cells: `gates` blocks of input and of recurrent products, each of `units`."""

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

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Computes the input products of the gates: [..., D] -> [..., gates * U]."""
        return self.input_projection(inputs)

    def recur(self, hidden: tf.Tensor, recurrent_scale: tf.Tensor | None = None) -> tf.Tensor:
        """Computes the recurrent products of the gates: [N, U] -> [N, gates * U].

        Args:
            hidden: float tensor [N, U].
            recurrent_scale: float tensor [N, U], factors of `hidden`; None for 1.
        """
        if recurrent_scale is not None:
            hidden = hidden * recurrent_scale
        return self.recurrent_projection(hidden)

    def initial_states(self, batch: Any) -> dict[str, tf.Tensor]:
        """Returns zeros [B, U] for each of `state_names`."""
        zeros = tf.zeros([batch, self.units], self.compute_dtype)
        return dict.fromkeys(self.state_names, zeros)

    def get_config(self) -> dict:
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
        recurrent_scale: float tensor [N, U], factors of h in the recurrent product alone; None
            for 1.

    Output:
        The output [N, U] and the new states.

    Reference: Cho et al. 2014, arXiv:1406.1078, equations 5 to 8 (reset after the product as in
    cuDNN).
    """

    gates = 3
    state_names = ("h",)

    def call(
        self,
        projected: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        recurrent_scale: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        hidden = states["h"]
        update_x, reset_x, candidate_x = tf.split(projected, 3, -1)
        update_h, reset_h, candidate_h = tf.split(self.recur(hidden, recurrent_scale), 3, -1)
        update = tf.sigmoid(update_x + update_h)
        candidate = tf.tanh(candidate_x + tf.sigmoid(reset_x + reset_h) * candidate_h)
        hidden = candidate + update * (hidden - candidate)
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
        recurrent_scale: float tensor [N, U], factors of h in the recurrent product alone; None
            for 1.

    Output:
        The output [N, U] and the new states.

    Reference: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); Jozefowicz et al.
    2015 (its bias of 1).
    """

    gates = 4
    state_names = ("h", "c")

    def call(
        self,
        projected: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        recurrent_scale: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        gates = projected + self.recur(states["h"], recurrent_scale)
        input_gate, forget_gate, candidate, output_gate = tf.split(gates, 4, -1)
        memory = tf.sigmoid(forget_gate + 1.0) * states["c"]
        memory += tf.sigmoid(input_gate) * tf.tanh(candidate)
        hidden = tf.sigmoid(output_gate) * tf.tanh(self.expose(memory))
        return hidden, {"h": hidden, "c": memory}

    def expose(self, memory: tf.Tensor) -> tf.Tensor:
        """Returns the memory as the output gate reads it: [N, U] -> [N, U]."""
        return memory


class _LayerNorm(_Cell):
    """Mixin that normalises both products, group of gates by group, before they are added."""

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

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        return self._normalize(super().project(inputs), self.input_norms)

    def recur(self, hidden: tf.Tensor, recurrent_scale: tf.Tensor | None = None) -> tf.Tensor:
        return self._normalize(super().recur(hidden, recurrent_scale), self.recurrent_norms)

    def _normalize(self, products, norms):
        groups = tf.split(products, [count * self.units for count in self.groups], -1)
        return tf.concat([norm(group) for norm, group in zip(norms, groups)], -1)


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormGRUCell(_LayerNorm, GRUCell):
    """`GRUCell` with layer normalisation of its products: LN(W x) and LN(U h), [z; r] and n apart.

    Args:
        units: width U of the state.

    Call arguments:
        projected, states, recurrent_scale: as for `GRUCell`, float tensors [N, 3 U], [N, U] and
            [N, U].

    Output:
        The output [N, U] and the new states.

    Reference: Ba et al. 2016, arXiv:1607.06450, supplementary material.
    """

    groups = (2, 1)


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormLSTMCell(_LayerNorm, LSTMCell):
    """`LSTMCell` with layer normalisation of its products, LN(W x) + LN(U h), and of its memory.

    h' = o * tanh(LN(c')).

    Args:
        units: width U of the state.

    Call arguments:
        projected, states, recurrent_scale: as for `LSTMCell`, float tensors [N, 4 U], [N, U] and
            [N, U].

    Output:
        The output [N, U] and the new states.

    Reference: Ba et al. 2016, arXiv:1607.06450, supplementary material.
    """

    groups = (4,)

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.memory_norm = make_norm(self.dtype_policy, 1e-5)

    def build(
        self, inputs_shape: Sequence, states_shape: Mapping[str, Sequence] | None = None
    ) -> None:
        super().build(inputs_shape, states_shape)
        if not self.memory_norm.built:
            self.memory_norm.build((None, self.units))

    def expose(self, memory: tf.Tensor) -> tf.Tensor:
        return self.memory_norm(memory)


CELLS = {
    "gru": GRUCell,
    "lstm": LSTMCell,
    "layer_norm_gru": LayerNormGRUCell,
    "layer_norm_lstm": LayerNormLSTMCell,
}


def cell(kind: str, units: int, **kwargs: Any) -> keras.layers.Layer:
    """Creates a cell by name.

    Args:
        kind: `"gru"`, `"lstm"`, `"layer_norm_gru"` or `"layer_norm_lstm"`.
        units: int, width of its state.
        **kwargs: as for any layer.

    Returns:
        A cell that is not built.

    Raises:
        ValueError: for another name.
    """
    if kind not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {kind!r}")
    return CELLS[kind](units, **kwargs)


def unroll(
    advance: Callable,
    inputs: Any,
    states: Any,
    like: Any,
    reverse: bool = False,
    loop_backend: LoopBackend = TENSORFLOW,
) -> tuple[Any, Any]:
    """Applies a function to every position of a sequence, in order: the package's loop over time.

    Args:
        advance: function (inputs of one position, states) -> (outputs, states).
        inputs: nest of tensors [B, N, ...]; in a graph N is at least 1.
        states: nest of tensors; `advance` keeps their shapes and dtypes.
        like: nest of `tf.TensorSpec`, the outputs of one position.
        reverse: run from the last position to the first; outputs keep the order of the inputs.
        loop_backend: where the loop stores inputs and outputs.

    Returns:
        The outputs, a nest like `like` with the positions as a new second axis, and the final
        states.
    """
    flat = [_transpose_first_axes(x) for x in tf.nest.flatten(inputs)]  # [N, B, ...]
    length = tf.shape(flat[0])[0]
    columns = [loop_backend.unstack(x) for x in flat]

    def position(step):
        return length - 1 - step if reverse else step

    def advance_flat(step, flat_states):
        column = [loop_backend.read(elements, position(step)) for elements in columns]
        column = tf.nest.pack_sequence_as(inputs, column)
        outputs, new_states = advance(column, tf.nest.pack_sequence_as(states, flat_states))
        return tf.nest.flatten(outputs), _keep_specs(tf.nest.flatten(new_states), flat_states)

    def body(step, written, flat_states):
        outputs, new_states = advance_flat(step, flat_states)
        written = [
            loop_backend.write(elements, position(step), output)
            for elements, output in zip(written, outputs)
        ]
        return step + 1, written, new_states

    specs, flat_states = tf.nest.flatten(like), tf.nest.flatten(states)
    if loop_backend.has_tensor_arrays:
        written = [loop_backend.new_elements(spec.shape, spec.dtype, length) for spec in specs]
        variables, shapes = (tf.constant(0), written, flat_states), None
    else:  # the size of the elements is only known from the first outputs
        outputs, flat_states = advance_flat(tf.constant(0), flat_states)
        written = [loop_backend.start_elements(x, position(0), length) for x in outputs]
        variables = (tf.constant(1), written, flat_states)
        element_shapes = [tf.TensorShape([None, *spec.shape]) for spec in specs]
        shapes = (tf.TensorShape([]), element_shapes, [x.shape for x in flat_states])
    return _finish_loop(body, variables, shapes, length, loop_backend, like, states)


def _finish_loop(body, variables, shapes, length, loop_backend, like, states):
    """Runs the loop of `unroll` and packs its results as `like` and `states`."""
    _, written, final = tf.while_loop(
        lambda step, *_: step < length,
        body,
        variables,
        shape_invariants=shapes,
        maximum_iterations=length,
    )
    outputs = [_transpose_first_axes(loop_backend.stack(x)) for x in written]  # [B, N, ...]
    return tf.nest.pack_sequence_as(like, outputs), tf.nest.pack_sequence_as(states, final)


def _transpose_first_axes(x):
    """Exchanges the first two axes of a tensor."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _keep_specs(new_states, states):
    return [tf.cast(tf.ensure_shape(n, o.shape), o.dtype) for n, o in zip(new_states, states)]


def run(
    cell: keras.layers.Layer,
    inputs: tf.Tensor,
    mask: tf.Tensor,
    reverse: bool = False,
    recurrent_scale: tf.Tensor | None = None,
    loop_backend: LoopBackend = TENSORFLOW,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Runs a cell over a batch of sequences; where `mask` is False the states do not change.

    With padding on the right and `reverse` the states stay zero until the last real token.

    Args:
        cell: a cell of this module.
        inputs: float tensor [B, S, D].
        mask: bool tensor [B, S], True = a real token.
        reverse: read from right to left.
        recurrent_scale: float tensor [B, U], factors of h in every recurrent product, as in
            variational dropout (Gal and Ghahramani 2016, arXiv:1512.05287, section 4).
        loop_backend: see `unroll`.

    Returns:
        Outputs [B, S, U], zero at padding, and the final states, a dict of [B, U].
    """
    projected = cell.project(inputs)  # [B, S, gates * U]
    states = cell.initial_states(tf.shape(inputs)[0])

    def advance(column, states):
        projected, is_real = column
        outputs, new = cell(projected, states, recurrent_scale)
        new = {name: tf.where(is_real, new[name], states[name]) for name in states}
        return tf.where(is_real, outputs, tf.zeros_like(outputs)), new

    like = tf.TensorSpec([None, cell.units], cell.compute_dtype)
    columns = (projected, tf.expand_dims(mask, 2))
    return unroll(advance, columns, states, like, reverse, loop_backend)
