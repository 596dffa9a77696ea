"""The Transformer decoder with its cache."""

import keras
import tensorflow as tf

from keras_s2s import attention
from keras_s2s.decoders.base import Decoder
from keras_s2s.layers import masks
from keras_s2s.layers.dropout import Dropout
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
        epsilon: added to the variance in normalisations.
        positions: a kind or a dict of `kind` and its arguments, such as `"sinusoidal"`,
            `"learned"`, `"relative"`, `"t5"`, `"rotary"` or `"alibi"`, see
            `keras_s2s.transformer.split_positions`.
        scaled: whether the vectors are multiplied by the square root of D.
        first_position: number of the first token in a signal added to the vectors.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, D] and None or {"cross": float32 [B, A, T, M]}, with `"all"` also
        {"self": float32 [B, A, T, T]} and A = L * H.

    Raises:
        ValueError: for another `norm`, `positions` or `maps`, sizes that do not do (`units` is a
            multiple of `num_heads` and even with sinusoids), inputs of another width, a step
            before `build`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; alignment: Garg et al. 2019,
    arXiv:1909.02074, section 4.2.
    """

    reads_own_width = True
    layer_class = TransformerLayer

    def __init__(
        self,
        units,
        num_layers=6,
        num_heads=8,
        hidden_units=None,
        norm="pre",
        activation="relu",
        dropout=0.1,
        epsilon=1e-6,
        positions="sinusoidal",
        scaled=True,
        first_position=0,
        **kwargs,
    ):
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

    def build(self, inputs_shape, context_shape):
        if inputs_shape[-1] != self.units:
            raise ValueError(
                f"inputs: expected target vectors of width {self.units} (units),"
                f" came {inputs_shape[-1]}"
            )
        memory_shape = (None, None, context_shape["memory"]["values"][-1])
        for layer in self.layers:
            if not layer.built:
                layer.build((None, None, self.units), memory_shape)
        for layer in (self.final_norm, self.position_table):
            if layer is not None and not layer.built:
                layer.build((None, None, self.units))

    def alignment(self, attention):
        first = self._guide * self.num_heads
        heads = attention[:, first : first + self.num_heads]
        return tf.reduce_mean(heads, 1, keepdims=True)

    @property
    def _guide(self):
        """The layer whose heads give the alignment."""
        return max(self.num_layers - 2, 0)

    def _maps(self, weights, maps):
        """Each layer's maps [B, H, N, M] -> what `select` gives of all of them."""
        if maps != "alignment":
            return self.select(tf.concat(weights, 1), maps)
        return tf.reduce_mean(weights[self._guide], 1, keepdims=True)

    def prepare(self, memory, source, training=False):
        context = super().prepare(memory, source, training)
        context["layers"] = {}
        for i, layer in enumerate(self.layers):
            made = layer.project(memory.values, memory.mask, memory.keys)
            # One mask for all layers, made ready once for all steps.
            context["layers"][f"layer_{i}"] = {name: made[name] for name in ("keys", "values")}
        context["places"] = attention.additive_mask(
            tf.expand_dims(tf.expand_dims(memory.mask, 1), 1)
        )
        return context

    def initial_state(self, context, num_hypotheses, max_length=None):
        batch = tf.shape(context["memory"]["mask"])[0]
        state = {
            f"layer_{i}": layer.self_attention.initial_cache(batch, num_hypotheses, max_length)
            for i, layer in enumerate(self.layers)
        }
        if max_length is not None and "keys" in state["layer_0"]:
            state["filled"] = tf.zeros([batch, num_hypotheses, max_length], tf.bool)
        return state

    def step(self, inputs, position, context, state, training=False, maps="none"):
        sizes, new, weights = leading_shape(inputs, 2), {}, []
        flat = tf.reshape(inputs, [-1, self.units])  # [B * K, D]
        x, filled = self._embed(flat, tf.reshape(position, [1])), None
        if "filled" in state:  # of a cache of a fixed size
            here = tf.equal(tf.range(tf.shape(state["filled"])[2]), position)
            new["filled"] = tf.logical_or(state["filled"], here)  # [B, K, t]
            filled = attention.additive_mask(tf.expand_dims(tf.expand_dims(new["filled"], 2), 2))
        for index, layer in enumerate(self.layers):
            name = f"layer_{index}"
            memory = context["layers"][name] | {"mask": context["places"]}
            x, new[name], seen = layer.step(x, sizes, position, memory, state[name], filled)
            weights.append(seen)  # [B, H, K, M]
        outputs = tf.reshape(self._finish(x), [*sizes, self.units])
        return outputs, new, self._maps(weights, maps)

    def call(self, inputs, context, maps="none", training=None):
        length = tf.shape(inputs)[1]
        x = self.input_dropout(self._embed(inputs, tf.range(length)), training=training)
        mask, own, cross = tf.expand_dims(masks.causal(length), 0), [], []
        for index, layer in enumerate(self.layers):
            memory = context["layers"][f"layer_{index}"]
            memory = memory | {"mask": context["memory"]["mask"]}
            x, seen_self, seen_cross = layer(x, memory=memory, mask=mask, training=training)
            own.append(seen_self)  # [B, H, T, T]
            cross.append(seen_cross)  # [B, H, T, M]
        attention = self._maps(cross, maps)
        if attention is None:
            return self._finish(x), None
        maps_given = {"cross": attention}
        if maps == "all" and own[0] is not None:
            maps_given["self"] = tf.concat(own, 1)
        return self._finish(x), maps_given

    def _embed(self, inputs, positions):
        places = positions + self.first_position
        return add_positions(
            self._inputs(inputs), places, self.position_kind, self.scaled, self.position_table
        )

    def _finish(self, x):
        return self.final_norm(x) if self.final_norm else x

    def get_config(self):
        own = (
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
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
