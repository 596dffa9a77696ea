"""The convolutional decoder with a cache of the previous inputs."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention import dot_product_attention
from keras_s2s.decoders.base import Decoder
from keras_s2s.encoders import Memory
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.convolutions import SQRT_HALF, GatedConvolution
from keras_s2s.layers.dense import make_linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.positions import add_positions
from keras_s2s.layers.shapes import leading_shape
from keras_s2s.layers.transformer_stack import check_absolute_positions, make_position_table

__all__ = ["ConvolutionalDecoder"]


@keras.saving.register_keras_serializable("keras_s2s")
class ConvolutionalDecoder(Decoder):
    """Causal gated convolutions, each followed by attention of its own to the memory.

    With g = W (y + p) + b, h^0 = g and for each layer: v = GLU(conv(h)), d = (W_d v + b_d + g)
    sqrt(1/2), c = sqrt(m) sum_j softmax_j(d k_j) v_j over the m real positions of the memory,
    h' = ((W_o c + b_o + v) sqrt(1/2) + h) sqrt(1/2). The alignment is the mean of the layers' maps.

    Args:
        units: width U of the layers and the output.
        num_layers: number of layers.
        kernel_size: number k of positions that an output of a layer sees, its own the last.
        positions: position signal added to the vectors, see `keras_s2s.encoders.MeanEncoder`.
        dropout: rate of dropout on the vectors and on the inputs of every layer.
        normalized: whether the weights are normalised, see `NormalizedLinear`.
            `prepare` computes the scales of the weights once for all steps.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}, with `"all"` A = the
        number of layers.

    Raises:
        ValueError: for other positions or `maps`, sizes that are not positive integers, or a step
            before `build`.

    Reference: Gehring et al. 2017, arXiv:1705.03122, sections 3.2 to 3.5 (a memory of another
    width is brought to U by a dense layer).

    Example:

    >>> from keras_s2s.decoders import ConvolutionalDecoder
    >>> ConvolutionalDecoder(4, num_layers=2).attention_names
    ['layer 1', 'layer 2']
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 4,
        kernel_size: int = 3,
        positions: str | dict[str, Any] = "learned",
        dropout: float = 0.1,
        normalized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units, num_layers=num_layers, kernel_size=kernel_size)
        self.units, self.num_layers, self.kernel_size = units, num_layers, kernel_size
        self.positions, self.dropout, self.width = positions, dropout, units
        self.normalized = normalized
        self.position_kind = check_absolute_positions(positions)
        self.attention_names = [f"layer {index + 1}" for index in range(num_layers)]
        policy = self.dtype_policy
        self.position_table = self.memory_projection = None
        self.input_dropout = Dropout(dropout, dtype=policy)
        self.input_projection = self._make_linear()
        self.layers = [
            GatedConvolution(units, kernel_size, True, dropout, normalized, dtype=policy)
            for _ in range(num_layers)
        ]
        self.queries = [self._make_linear() for _ in range(num_layers)]
        self.outputs = [self._make_linear() for _ in range(num_layers)]

    def _make_linear(self):
        return make_linear(self.units, self.normalized, dtype=self.dtype_policy)

    def build(self, inputs_shape: tuple[int | None, ...], context_shape: dict[str, Any]) -> None:
        width, memory_width = inputs_shape[-1], context_shape["memory"]["values"][-1]
        if self.position_table is None:
            self.position_table = make_position_table(width, self.positions)
        if self.memory_projection is None and memory_width != self.units:
            self.memory_projection = self._make_linear()
        units_shape = (None, None, self.units)
        layers = [(self.input_projection, (None, width))]
        layers += [(layer, units_shape) for layer in (*self.layers, *self.queries, *self.outputs)]
        for layer, shape in (*layers, (self.memory_projection, (None, memory_width))):
            if layer is not None and not layer.built:
                layer.build(shape)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()

    def alignment(self, attention: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(attention, 1, keepdims=True)

    def prepare(
        self, memory: Memory, source: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, Any]:
        context = super().prepare(memory, source, training)
        attended = {"keys": memory.attention_keys, "values": memory.values}
        if self.memory_projection is not None:
            attended = {
                name: self.memory_projection(x) for name, x in attended.items()
            }  # [B, M, U]
        count = tf.reduce_sum(tf.cast(memory.mask, tf.float32), 1)
        attended["scale"] = tf.cast(tf.reshape(tf.sqrt(count), [-1, 1, 1]), self.compute_dtype)
        if self.normalized:
            scales = tf.concat([layer.scale() for layer in self._normalized_layers()], 0)
            scales = tf.cast(tf.expand_dims(scales, 0), self.compute_dtype)
            batch = tf.shape(memory.mask)[0]
            attended["scales"] = tf.tile(scales, [batch, 1])  # [B, (1 + 4 L) U]
        return {**context, "seen": attended}

    def _normalized_layers(self):
        """The layers of a step whose weights are normalised, if any are."""
        convolutions = [layer.projection for layer in self.layers]
        return [self.input_projection, *convolutions, *self.queries, *self.outputs]

    def _scale_arguments(self, context):
        """{layer: {"scale": [1, width]}} or, without normalised weights, {layer: {}}."""
        layers = self._normalized_layers()
        if not self.normalized:
            return dict.fromkeys(layers, {})
        scales = context["seen"]["scales"][:1]  # equal in all rows; a batch may have none
        scales = tf.split(scales, [layer.units for layer in layers], 1)
        return {layer: {"scale": scale} for layer, scale in zip(layers, scales, strict=True)}

    def initial_state(
        self,
        context: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
    ) -> dict[str, tf.Tensor]:
        if self.kernel_size == 1:  # no axis of size 0, which would mean that it grows
            return {}
        batch = tf.shape(context["memory"]["mask"])[0]
        shape = [batch, num_hypotheses, (self.kernel_size - 1) * self.units]
        zeros = tf.zeros(shape, self.compute_dtype)
        return {f"layer_{index}": zeros for index in range(self.num_layers)}

    def step(
        self,
        inputs: tf.Tensor,
        position: tf.Tensor,
        context: dict[str, Any],
        state: dict[str, tf.Tensor],
        training: bool = False,
        maps: str = "none",
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor | None]:
        sizes, new_state, scales = leading_shape(inputs, 2), {}, self._scale_arguments(context)
        inputs = tf.reshape(self._cast_inputs(inputs), [-1, inputs.shape[-1]])  # [B * K, D]
        cache_width = (self.kernel_size - 1) * self.units

        def convolve(index, x):
            name, layer = f"layer_{index}", self.layers[index]
            x = tf.reshape(x, [-1, self.units])
            cache = tf.reshape(state[name], [-1, cache_width]) if cache_width else None
            outputs, cache = layer.step(x, cache, **scales[layer.projection])
            if cache_width:
                new_state[name] = tf.reshape(cache, [*sizes, cache_width])
            return tf.reshape(outputs, [*sizes, self.units])

        x = self._embed(inputs, tf.reshape(position, [1]), **scales[self.input_projection])
        x = tf.reshape(x, [*sizes, self.units])
        outputs, attention = self._run_layers(x, context, convolve, scales)
        return outputs, new_state, self.select_maps(attention, maps)

    def call(
        self,
        inputs: tf.Tensor,
        context: dict[str, Any],
        maps: str = "none",
        training: bool | None = None,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor] | None]:
        x = self._embed(self._cast_inputs(inputs), tf.range(tf.shape(inputs)[1]), training)

        def convolve(index, x):
            return self.layers[index](x, training=training)

        no_scales = dict.fromkeys(self._normalized_layers(), {})
        outputs, attention = self._run_layers(x, context, convolve, no_scales)
        cross = self.select_maps(attention, maps)
        return outputs, None if cross is None else {"cross": cross}

    def _embed(self, inputs, positions, training=False, **scale):
        x = add_positions(inputs, positions, self.position_kind, False, self.position_table)
        return self.input_projection(self.input_dropout(x, training=training), **scale)

    def _run_layers(
        self,
        embedded: tf.Tensor,
        context: dict[str, Any],
        convolve: Callable[[int, tf.Tensor], tf.Tensor],
        scales: dict[Any, dict[str, tf.Tensor]],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """All layers over [B, N, U]: outputs of the last layer, and weights [B, A, N, M]."""
        x, weights, attended = embedded, [], context["seen"]
        mask = tf.expand_dims(context["memory"]["mask"], 1)  # [B, 1, M]
        projections = zip(self.queries, self.outputs, strict=True)
        for index, (query_projection, output_projection) in enumerate(projections):
            outputs = convolve(index, x)
            query = query_projection(outputs, **scales[query_projection])
            query = (query + embedded) * SQRT_HALF
            vectors, layer_weights = dot_product_attention(
                query, attended["keys"], attended["values"], mask
            )
            vectors = output_projection(vectors * attended["scale"], **scales[output_projection])
            outputs = (vectors + outputs) * SQRT_HALF
            x = (outputs + x) * SQRT_HALF
            weights.append(layer_weights)
        return x, tf.stack(weights, 1)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "num_layers", "kernel_size", "positions", "dropout", "normalized")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
