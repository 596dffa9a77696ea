"""The Transformer decoder with a cache of keys and values."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s import attention
from keras_s2s.decoders.base import Decoder
from keras_s2s.encoders import Memory
from keras_s2s.layers import masks
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.normalization import make_norm
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.shapes import leading_shape
from keras_s2s.layers.transformer import TransformerLayer
from keras_s2s.layers.transformer_stack import (
    check_stack,
    head_names,
    make_layers,
    make_position_table,
    parse_positions,
)

__all__ = ["TransformerDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerDecoder(Decoder):
    """Transformer layers with causal self-attention and cross-attention to the memory.

    The alignment is the mean over the heads of the last layer but one, or of the only layer.

    Args:
        units: width D of the layers and of the target vectors.
        num_layers: number of layers L.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the hidden layer of the feed-forward layers; 4 D when None.
        norm: `"pre"` (with a final normalisation) or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: rate of dropout.
        epsilon: added to the variance in normalisations.
        positions: a kind, or a dict of `kind` and its arguments: `"sinusoidal"`, `"learned"`,
            `"relative"`, `"t5"`, `"rotary"`, `"alibi"`, ..., see
            `keras_s2s.layers.transformer_stack.parse_positions`.
        scaled: whether the vectors are multiplied by the square root of D.
        first_position: number of the first token in a position signal added to the vectors.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, D] and None or {"cross": float32 [B, A, T, M]}, with `"all"` also
        {"self": float32 [B, A, T, T]} and A = L * H.

    Raises:
        ValueError: for another `norm`, `positions` or `maps`, invalid sizes (`units` has to be a
            multiple of `num_heads`, and even with sinusoids), inputs of another width, a step
            before `build`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; alignment: Garg et al. 2019,
    arXiv:1909.02074, section 4.2.

    Example:

    >>> from keras_s2s.decoders import TransformerDecoder
    >>> TransformerDecoder(8, num_layers=1, num_heads=2).attention_names
    ['layer 1 head 1', 'layer 1 head 2']
    """

    has_fixed_input_width = True
    supports_loop_backend = True
    layer_class = TransformerLayer

    def __init__(
        self,
        units: int,
        num_layers: int = 6,
        num_heads: int = 8,
        hidden_units: int | None = None,
        norm: str = "pre",
        activation: str = "relu",
        dropout: float = 0.1,
        epsilon: float = 1e-6,
        positions: str | dict[str, Any] = "sinusoidal",
        scaled: bool = True,
        first_position: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_stack(
            units, num_layers, num_heads, hidden_units, epsilon, positions, scaled, first_position
        )
        self.units, self.num_layers, self.num_heads = units, num_layers, num_heads
        self.hidden_units, self.norm = hidden_units, norm
        self.activation, self.dropout, self.width = activation, dropout, units
        self.epsilon, self.positions, self.scaled = epsilon, positions, scaled
        self.first_position = first_position
        policy = self.dtype_policy
        self.layers = make_layers(self, True, self.layer_class)
        self.position_kind, _ = parse_positions(positions)
        self.position_table = make_position_table(units, positions)
        self.final_norm = make_norm(policy, epsilon) if norm == "pre" else None
        self.input_dropout = Dropout(dropout, dtype=policy)
        self.attention_names = head_names(num_layers, num_heads)

    def build(self, inputs_shape: tuple[int | None, ...], context_shape: dict[str, Any]) -> None:
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected target vectors of width {self.units} (units),"
                f" got {inputs_shape[-1]}"
            )
        memory_shape = (None, None, context_shape["memory"]["values"][-1])
        for layer in self.layers:
            if not layer.built:
                layer.build((None, None, self.units), memory_shape)
        for layer in (self.final_norm, self.position_table):
            if layer is not None and not layer.built:
                layer.build((None, None, self.units))

    def alignment(self, attention: tf.Tensor) -> tf.Tensor:
        first = self._alignment_layer * self.num_heads
        heads = attention[:, first : first + self.num_heads]
        return tf.reduce_mean(heads, 1, keepdims=True)

    @property
    def _alignment_layer(self):
        """Index of the layer whose heads give the alignment."""
        return max(self.num_layers - 2, 0)

    def _select_layer_maps(self, weights, maps):
        """The maps [B, A, N, M] that `maps` requests, from the maps [B, H, N, M] of each layer."""
        if maps != "alignment":
            return self.select_maps(tf.concat(weights, 1), maps)
        return tf.reduce_mean(weights[self._alignment_layer], 1, keepdims=True)

    def prepare(
        self, memory: Memory, source: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, Any]:
        context = super().prepare(memory, source, training)
        context["layers"] = {}
        for i, layer in enumerate(self.layers):
            projected = layer.project(memory.values, memory.mask, memory.keys)
            context["layers"][f"layer_{i}"] = {name: projected[name] for name in ("keys", "values")}
        # One mask for all layers, prepared once for all steps.
        context["places"] = attention.additive_mask(
            tf.expand_dims(tf.expand_dims(memory.mask, 1), 1)
        )
        return context

    def initial_state(
        self,
        context: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
    ) -> dict[str, Any]:
        batch = tf.shape(context["memory"]["mask"])[0]
        state = {
            f"layer_{i}": layer.self_attention.initial_cache(batch, num_hypotheses, max_length)
            for i, layer in enumerate(self.layers)
        }
        if max_length is not None and "keys" in state["layer_0"]:
            state["filled"] = tf.zeros([batch, num_hypotheses, max_length], tf.bool)
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
        sizes, new_state, weights = leading_shape(inputs, 2), {}, []
        inputs = tf.reshape(inputs, [-1, self.units])  # [B * K, D]
        x, filled = self._embed(inputs, tf.reshape(position, [1])), None
        if "filled" in state:  # a cache of fixed size
            is_current = tf.equal(tf.range(tf.shape(state["filled"])[2]), position)
            new_state["filled"] = tf.logical_or(state["filled"], is_current)  # [B, K, t]
            filled = tf.expand_dims(tf.expand_dims(new_state["filled"], 2), 2)
            filled = attention.additive_mask(filled)
        for index, layer in enumerate(self.layers):
            name = f"layer_{index}"
            memory = context["layers"][name] | {"mask": context["places"]}
            x, new_state[name], layer_weights = layer.step(
                x, sizes, position, memory, state[name], filled, loop_backend
            )
            weights.append(layer_weights)  # [B, H, K, M]
        outputs = tf.reshape(self._normalize_outputs(x), [*sizes, self.units])
        return outputs, new_state, self._select_layer_maps(weights, maps)

    def call(
        self,
        inputs: tf.Tensor,
        context: dict[str, Any],
        maps: str = "none",
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor] | None]:
        length = tf.shape(inputs)[1]
        x = self.input_dropout(self._embed(inputs, tf.range(length)), training=training)
        mask, self_maps, cross_maps = tf.expand_dims(masks.causal(length), 0), [], []
        for index, layer in enumerate(self.layers):
            memory = context["layers"][f"layer_{index}"]
            memory = memory | {"mask": context["memory"]["mask"]}
            x, self_weights, cross_weights = layer(
                x, memory=memory, mask=mask, training=training, loop_backend=loop_backend
            )
            self_maps.append(self_weights)  # [B, H, T, T]
            cross_maps.append(cross_weights)  # [B, H, T, M]
        outputs, cross = self._normalize_outputs(x), self._select_layer_maps(cross_maps, maps)
        if cross is None:
            return outputs, None
        attention_maps = {"cross": cross}
        if maps == "all" and self_maps[0] is not None:
            attention_maps["self"] = tf.concat(self_maps, 1)
        return outputs, attention_maps

    def _embed(self, inputs, positions):
        inputs, positions = self._cast_inputs(inputs), positions + self.first_position
        return add_positions(
            inputs, positions, self.position_kind, self.scaled, self.position_table
        )

    def _normalize_outputs(self, x):
        return self.final_norm(x) if self.final_norm else x

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "num_heads",
            "hidden_units",
            "norm",
            "activation",
            "dropout",
            "epsilon",
            "positions",
            "scaled",
            "first_position",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
