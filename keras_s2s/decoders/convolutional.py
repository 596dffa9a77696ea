"""The convolutional decoder with its cache of the last inputs."""

import keras
import tensorflow as tf

from keras_s2s.attention import dot_product_attention
from keras_s2s.decoders.base import Decoder
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
    """Causal gated convolutions, each followed by an attention of its own to the memory.

    With g = W (y + p) + b, h^0 = g and for each layer: v = GLU(conv(h)), d = (W_d v + b_d + g)
    sqrt(1/2), c = sqrt(m) sum_j softmax_j(d k_j) v_j over the m real places of the memory,
    h' = ((W_o c + b_o + v) sqrt(1/2) + h) sqrt(1/2). The alignment is the mean of the layers' maps.

    Args:
        units: width U of the layers and the output.
        num_layers: number of layers.
        kernel_size: number k of places that a layer's output sees, its own the last.
        positions: what is added to the vectors, see `keras_s2s.encoders.MeanEncoder`.
        dropout: share dropped of the vectors and of every layer's input in training.
        normalized: whether the weights are normalised, see `keras_s2s.linear.NormalizedLinear`.
            What a step needs of their lengths is made once, by `prepare`.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, U] and None or {"cross": float32 [B, A, T, M]}, with `"all"` A = the
        number of layers.

    Raises:
        ValueError: for other positions or `maps`, sizes that are not positive integers, or a step
            before `build`.

    Reference: Gehring et al. 2017, arXiv:1705.03122, sections 3.2 to 3.5 (a memory of another
    width is brought to U by a dense layer).
    """

    def __init__(
        self,
        units,
        num_layers=4,
        kernel_size=3,
        positions="learned",
        dropout=0.1,
        normalized=False,
        **kwargs,
    ):
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
        self.input_projection = self._linear()
        self.layers = [
            GatedConvolution(units, kernel_size, True, dropout, normalized, dtype=policy)
            for _ in range(num_layers)
        ]
        self.queries = [self._linear() for _ in range(num_layers)]
        self.outputs = [self._linear() for _ in range(num_layers)]

    def _linear(self):
        return make_linear(self.units, self.normalized, dtype=self.dtype_policy)

    def build(self, inputs_shape, context_shape):
        width, memory = inputs_shape[-1], context_shape["memory"]["values"][-1]
        if self.position_table is None:
            self.position_table = make_position_table(width, self.positions)
        if self.memory_projection is None and memory != self.units:
            self.memory_projection = self._linear()
        own = (None, None, self.units)
        parts = [(self.input_projection, (None, width))]
        parts += [(layer, own) for layer in (*self.layers, *self.queries, *self.outputs)]
        for layer, shape in (*parts, (self.memory_projection, (None, memory))):
            if layer is not None and not layer.built:
                layer.build(shape)
        if self.position_table is not None and not self.position_table.built:
            self.position_table.build()

    def alignment(self, attention):
        return tf.reduce_mean(attention, 1, keepdims=True)

    def prepare(self, memory, source, training=False):
        context = super().prepare(memory, source, training)
        seen = {"keys": memory.attention_keys, "values": memory.values}
        if self.memory_projection is not None:
            seen = {name: self.memory_projection(x) for name, x in seen.items()}  # [B, M, U]
        count = tf.reduce_sum(tf.cast(memory.mask, tf.float32), 1)
        seen["scale"] = tf.cast(tf.reshape(tf.sqrt(count), [-1, 1, 1]), self.compute_dtype)
        if self.normalized:
            scales = tf.concat([layer.scale() for layer in self._scaled()], 0)
            scales = tf.cast(tf.expand_dims(scales, 0), self.compute_dtype)
            seen["scales"] = tf.tile(scales, [tf.shape(memory.mask)[0], 1])  # [B, (1 + 4 L) U]
        return {**context, "seen": seen}

    def _scaled(self):
        convolutions = [layer.projection for layer in self.layers]
        return [self.input_projection, *convolutions, *self.queries, *self.outputs]

    def _scales(self, context):
        """Of each layer the keyword argument `scale` [1, width], for all rows have the same."""
        layers = self._scaled()
        if not self.normalized:
            return dict.fromkeys(layers, {})
        first = context["seen"]["scales"][:1]  # none of no rows
        parts = tf.split(first, [layer.units for layer in layers], 1)
        return {layer: {"scale": part} for layer, part in zip(layers, parts, strict=True)}

    def initial_state(self, context, num_hypotheses, max_length=None):
        if self.kernel_size == 1:  # sizes of 0 are for what grows
            return {}
        batch = tf.shape(context["memory"]["mask"])[0]
        shape = [batch, num_hypotheses, (self.kernel_size - 1) * self.units]
        zeros = tf.zeros(shape, self.compute_dtype)
        return {f"layer_{index}": zeros for index in range(self.num_layers)}

    def step(self, inputs, position, context, state, training=False, maps="none"):
        sizes, new, scales = leading_shape(inputs, 2), {}, self._scales(context)
        flat = tf.reshape(self._inputs(inputs), [-1, inputs.shape[-1]])  # [B * K, D]

        def convolve(index, x):
            name, layer = f"layer_{index}", self.layers[index]
            width = (self.kernel_size - 1) * self.units
            x = tf.reshape(x, [-1, self.units])
            before = tf.reshape(state[name], [-1, width]) if width else None
            out, before = layer.step(x, before, **scales[layer.projection])
            if width:
                new[name] = tf.reshape(before, [*sizes, width])
            return tf.reshape(out, [*sizes, self.units])

        x = self._embed(flat, tf.reshape(position, [1]), **scales[self.input_projection])
        x = tf.reshape(x, [*sizes, self.units])
        outputs, attention = self._run(x, context, convolve, scales)
        return outputs, new, self.select(attention, maps)

    def call(self, inputs, context, maps="none", training=None):
        x = self._embed(self._inputs(inputs), tf.range(tf.shape(inputs)[1]), training)

        def convolve(index, x):
            return self.layers[index](x, training=training)

        outputs, attention = self._run(x, context, convolve, dict.fromkeys(self._scaled(), {}))
        cross = self.select(attention, maps)
        return outputs, None if cross is None else {"cross": cross}

    def _embed(self, inputs, places, training=False, **scale):
        x = add_positions(inputs, places, self.position_kind, False, self.position_table)
        return self.input_projection(self.input_dropout(x, training=training), **scale)

    def _run(self, embedded, context, convolve, scales):
        """All layers over [B, N, U]: the last one's output, and weights [B, A, N, M]."""
        x, weights, seen = embedded, [], context["seen"]
        mask = tf.expand_dims(context["memory"]["mask"], 1)  # [B, 1, M]
        for index, (look, write) in enumerate(zip(self.queries, self.outputs, strict=True)):
            out = convolve(index, x)
            query = (look(out, **scales[look]) + embedded) * SQRT_HALF
            found, map_ = dot_product_attention(query, seen["keys"], seen["values"], mask)
            out = (write(found * seen["scale"], **scales[write]) + out) * SQRT_HALF
            x = (out + x) * SQRT_HALF
            weights.append(map_)
        return x, tf.stack(weights, 1)

    def get_config(self):
        own = ("units", "num_layers", "kernel_size", "positions", "dropout", "normalized")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
