"""The base class of recurrent decoders: bridge, cells and the loop over positions."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_s2s.attention import make_attention
from keras_s2s.decoders.base import Decoder
from keras_s2s.decoders.bridges import Bridge
from keras_s2s.encoders import Memory
from keras_s2s.layers import recurrent
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.shapes import leading_shape

__all__ = ["CellDecoder", "merge_hypotheses"]


def merge_hypotheses(nest: Any) -> Any:
    """Merges the batch and hypothesis axes of every leaf: [B, K, D] -> [B * K, D]."""

    def merge(leaf):
        batch, count, width = leading_shape(leaf, 3)
        return tf.reshape(leaf, [batch * count, width])

    return tf.nest.map_structure(merge, nest)


class CellDecoder(Decoder):
    """Stacked cells between a bridge and outputs [B, T, U].

    A sub-class defines `_extra_layers`, what it builds besides the shared layers; `_advance`, one
    position of all hypotheses; and `_readout`, the outputs. `_advance` returns the inputs of the
    readout, tensors [B * K, D] of the widths `_readout_widths`, the attention weights
    [B, A, K, M] and the new state.
    """

    CONFIG_NAMES = ("units", "num_layers", "cell", "bridge", "dropout", "residual_from")
    supports_loop_backend = True

    def __init__(
        self,
        units: int,
        num_layers: int,
        cell: str,
        bridge: str,
        dropout: float,
        residual_from: int | None,
        attention: str | dict[str, Any] = "none",
        attention_units: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        hidden_units = units if attention_units is None else attention_units
        optional = {} if residual_from is None else {"residual_from": residual_from}
        check_positive_integers(
            units=units, num_layers=num_layers, attention_units=hidden_units, **optional
        )
        self.units, self.num_layers, self.cell = units, num_layers, cell
        self.bridge, self.dropout, self.residual_from = bridge, dropout, residual_from
        self.width, policy = units, self.dtype_policy
        self.attention_kind = attention if isinstance(attention, str) else dict(attention)
        self.attention = make_attention(attention, hidden_units, dtype=policy)
        self.has_attention = self.attention.has_attention
        self.attention_names = list(self.attention.map_names)
        self.cells = [self._make_cell() for _ in range(num_layers)]
        self.gates = self.cells[0].gates * units
        # Here, not later: the state of an optimizer is saved in the order of the weights.
        self._make_projections()
        self.state_bridge = Bridge(
            num_layers, units, self.cells[0].state_names, bridge, dtype=policy
        )
        self.input_dropout = Dropout(dropout, dtype=policy)

    def _make_projections(self):
        """Creates the projections of other inputs of the cells; none by default."""

    def _make_cell(self):
        return recurrent.cell(self.cell, self.units, dtype=self.dtype_policy)

    def _extra_layers(self, input_width, context_width):
        """(layer, build shape) of each layer that only the sub-class has."""
        return []

    def build(self, inputs_shape: Sequence[int | None], context_shape: dict[str, Any]) -> None:
        width, memory_width = inputs_shape[-1], context_shape["memory"]["values"][-1]
        layers = [
            (self.attention, (None, None, self.units), None, (None, None, memory_width)),
            (self.state_bridge, (None, memory_width)),
            *((c, (None, self.units if i else width)) for i, c in enumerate(self.cells)),
            *self._extra_layers(width, self.attention.context_width(memory_width)),
        ]
        for layer, *shapes in layers:
            if not layer.built:
                layer.build(*shapes)

    def alignment(self, attention: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(attention, 1, keepdims=True)

    def select_maps(self, attention: tf.Tensor | None, maps: str) -> tf.Tensor | None:
        # Without attention the alignment is zeros, and the list of all maps is empty.
        if maps == "all" and not self.has_attention:
            return attention[:, :0]
        return super().select_maps(attention, maps)

    def prepare(
        self, memory: Memory, source: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, Any]:
        context = super().prepare(memory, source, training)
        context["attention"] = self.attention.prepare(memory)
        self.state_bridge.check(memory.states)  # here, where Keras adds nothing to the message
        context["initial"] = self.state_bridge(memory.summary, states=memory.states)
        return context

    def initial_state(
        self,
        context: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
    ) -> dict[str, Any]:
        def repeat(leaf):
            return tf.repeat(tf.expand_dims(leaf, 1), num_hypotheses, 1)  # [B, K, U]

        state = tf.nest.map_structure(repeat, context["initial"])
        if self.attention.stateful:
            memory = self._attention_memory(context)
            state["attention"] = self.attention.initial_state(memory, num_hypotheses)
        return state

    def step(
        self,
        inputs: tf.Tensor,
        position: tf.Tensor,
        context: dict[str, Any],
        state: dict[str, Any],
        training: bool = False,
        maps: str = "none",
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor | None]:
        sizes = leading_shape(inputs, 2)
        inputs = merge_hypotheses(self._cast_inputs(inputs))  # [B * K, D]
        inputs = self.input_dropout(inputs, training=training)
        readout_inputs, weights, state = self._advance(
            self._project_inputs(inputs),
            merge_hypotheses(state),
            self._attention_memory(context),
            sizes,
            training,
        )
        outputs = self.input_dropout(self._readout(readout_inputs, inputs), training=training)

        def split_hypotheses(leaf):
            return tf.reshape(leaf, [*sizes, leading_shape(leaf, 2)[1]])

        state = tf.nest.map_structure(split_hypotheses, state)
        return split_hypotheses(outputs), state, self.select_maps(weights, maps)

    def call(
        self,
        inputs: tf.Tensor,
        context: dict[str, Any],
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor] | None]:
        inputs = self.input_dropout(self._cast_inputs(inputs), training=training)
        readout_inputs, weights = self._all_positions(inputs, context, training, loop_backend)
        outputs = self._readout(readout_inputs, inputs)  # [B, T, U]
        outputs = self.input_dropout(outputs, training=training)
        cross = self.select_maps(weights, maps)  # [B, A, T, M]
        return outputs, None if cross is None else {"cross": cross}

    def _all_positions(self, inputs, context, training, loop_backend):
        """Readout inputs [B, T, D] and attention weights [B, A, T, M] of every position."""
        widths = self._readout_widths(context)
        return self._unroll(inputs, context, training, self._advance, widths, loop_backend)

    def _unroll(self, inputs, context, training, advance, widths, loop_backend):
        """`advance` over all positions, with readout inputs of the given widths."""
        memory, sizes = self._attention_memory(context), (tf.shape(inputs)[0], 1)

        def advance_one(projected, state):
            readout_inputs, weights, state = advance(projected, state, memory, sizes, training)
            return (*readout_inputs, tf.squeeze(weights, 2)), state

        num_maps = max(len(self.attention_names), 1)
        output_specs = [tf.TensorSpec([None, width], self.compute_dtype) for width in widths]
        (*readout_inputs, weights), _ = recurrent.unroll(
            advance_one,
            self._project_inputs(inputs),
            merge_hypotheses(self.initial_state(context, 1)),
            (*output_specs, tf.TensorSpec([None, num_maps, None], tf.float32)),
            loop_backend=loop_backend,
        )
        return readout_inputs, tf.transpose(weights, [0, 2, 1, 3])

    def _project_inputs(self, inputs):
        return self.cells[0].project(inputs)  # [..., gates * U]

    def _attention_memory(self, context):
        return {**context["memory"], **context["attention"]}

    def _context_width(self, context):
        return self.attention.context_width(context["memory"]["values"].shape[-1])

    def _attend(self, query, sizes, memory, state, training):
        """Attended vectors, weights, and a new state with that of the attention alone."""
        attended, weights, attention_state = self.attention.attend(
            query, sizes, memory, state.get("attention", {}), training
        )
        return attended, weights, {"attention": attention_state} if self.attention.stateful else {}

    def _run_cells(self, x, states, training, first=0, gate_inputs=None, loop_backend=TENSORFLOW):
        """The cells from `first` on, over one position [N, D] or a sequence [B, T, D].

        Args:
            gate_inputs: function of a layer's number, what is added to the inputs of its gates.
            loop_backend: `LoopBackend` of the loop over a sequence.
        """
        new_states = {}
        for index in range(first, self.num_layers):
            name, cell = f"layer_{index}", self.cells[index]
            inputs = self.input_dropout(x, training=training) if index else x
            projected = cell.project(inputs)
            if gate_inputs is not None:
                projected += gate_inputs(index)
            outputs, new_states[name] = _run_cell(cell, projected, states[name], loop_backend)
            is_residual = index and self.residual_from and index + 1 >= self.residual_from
            x = x + outputs if is_residual else outputs
        return x, new_states

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in self.CONFIG_NAMES if name != "attention"}
        if "attention" in self.CONFIG_NAMES:
            config["attention"] = self.attention_kind
        return {**super().get_config(), **config}


def _run_cell(cell, projected, states, loop_backend):
    if projected.shape.rank == 2:
        return cell(projected, states)
    output_spec = tf.TensorSpec([None, cell.units], cell.compute_dtype)
    return recurrent.unroll(cell, projected, states, output_spec, loop_backend=loop_backend)
