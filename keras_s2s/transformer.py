"""The layers of a Transformer: feed-forward part, encoder layer, decoder layer."""

import keras
import tensorflow as tf

from keras_s2s.attention import CrossAttention, SelfAttention
from keras_s2s.embeddings import POSITIONS
from keras_s2s.linear import Dropout, Linear, check_sizes

__all__ = [
    "FeedForward",
    "LayerNormalization",
    "TransformerLayer",
    "check_stack",
    "head_names",
    "make_norm",
]


def check_stack(units, num_layers, num_heads, hidden_units, epsilon=1e-6, positions="sinusoidal",
                scaled=True, first_position=0):  # fmt: skip
    """Refuses what no stack of layers over sinusoidal positions can have.

    Raises:
        ValueError: naming the argument that is not a positive integer (`hidden_units` may be
            None), an odd `units`, or another argument that stands for nothing.
    """
    inner = {} if hidden_units is None else {"hidden_units": hidden_units}
    check_sizes(units=units, num_layers=num_layers, num_heads=num_heads, **inner)
    if units % 2:
        raise ValueError(f"units: expected an even width for sinusoidal positions, came {units}")
    if positions not in POSITIONS:
        raise ValueError(f"positions: expected one of {', '.join(POSITIONS)}, came {positions!r}")
    number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not number or not 0 < epsilon < 1:
        raise ValueError(f"epsilon: expected a number between 0 and 1, came {epsilon!r}")
    if not isinstance(scaled, bool):
        raise ValueError(f"scaled: expected True or False, came {scaled!r}")
    if type(first_position) is not int or first_position < 0:
        expected = "expected an integer of at least 0"
        raise ValueError(f"first_position: {expected}, came {first_position!r}")


def head_names(num_layers, num_heads):
    """Names of a stack's attention maps, layer by layer, head by head."""
    return [
        f"layer {layer + 1} head {head + 1}"
        for layer in range(num_layers)
        for head in range(num_heads)
    ]


@keras.saving.register_keras_serializable("keras_s2s")
class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` over the last axis, in fewer passes over the inputs.

    Call arguments:
        inputs: float tensor [..., D].

    Output:
        tensor of the inputs' shape, in the layer's compute type.

    Reference: Ba et al. 2016, arXiv:1607.06450.
    """

    def call(self, inputs):
        x = tf.cast(inputs, tf.float32)
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon) * tf.convert_to_tensor(self.gamma)
        return tf.cast(centred * scale + tf.convert_to_tensor(self.beta), self.compute_dtype)


def make_norm(policy, epsilon=1e-6):
    """Layer normalisation as every Transformer part here uses it."""
    return LayerNormalization(epsilon=epsilon, dtype=policy)


@keras.saving.register_keras_serializable("keras_s2s")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between: W_2 f(W_1 x + b_1) + b_2.

    Args:
        units: width D of input and output.
        hidden_units: width of the layer between.
        activation: Keras name of f.
        dropout: share dropped after the activation in training.

    Call arguments:
        inputs: float tensor [..., D].

    Output:
        float tensor [..., D].

    Reference: Vaswani et al. 2017, arXiv:1706.03762, equation 2.
    """

    def __init__(self, units, hidden_units, activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.hidden_units = units, hidden_units
        self.activation, self.dropout = activation, dropout
        self.inner = Linear(hidden_units, activation=activation, dtype=self.dtype_policy)
        self.outer = Linear(units, dtype=self.dtype_policy)
        self.inner_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        for layer, width in ((self.inner, self.units), (self.outer, self.hidden_units)):
            if not layer.built:
                layer.build((None, width))

    def call(self, inputs, training=None):
        return self.outer(self.inner_dropout(self.inner(inputs), training=training))

    def get_config(self):
        own = ("units", "hidden_units", "activation", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable("keras_s2s")
class TransformerLayer(keras.layers.Layer):
    """One Transformer layer: self-attention, cross-attention if asked for, feed-forward part.

    Each part f stands in a residual: `x + f(norm(x))` with `norm="pre"`, `norm(x + f(x))` with
    `norm="post"`. `call` runs a whole sequence and `step` one position of K hypotheses; they
    differ in the self-attention alone.

    Args:
        units: width D.
        num_heads: number of heads H, a divisor of `units`.
        hidden_units: width of the feed-forward part's inner layer.
        cross: whether the layer attends to a memory.
        norm: `"pre"` or `"post"`.
        activation: Keras name of the feed-forward activation.
        dropout: share dropped in training, in every part and after it.
        epsilon: added to the variance in normalisations.

    Call arguments:
        inputs: float tensor [B, N, D].
        memory: {"keys": [B, H, M, D / H], "values": the same, "mask": bool [B, M]}, from `project`;
            None without cross-attention.
        mask: bool tensor that broadcasts to [B, N, N], True = may be seen.

    Output:
        float tensor [B, N, D], self-attention weights [B, H, N, N], and cross-attention weights
        [B, H, N, M] or None.

    Raises:
        ValueError: for another `norm`, or heads that do not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; pre-norm: Xiong et al. 2020,
    arXiv:2002.04745.
    """

    def __init__(self, units, num_heads, hidden_units, cross=False, norm="pre",
                 activation="relu", dropout=0.0, epsilon=1e-6, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        if norm not in ("pre", "post"):
            raise ValueError(f"norm: expected 'pre' or 'post', came {norm!r}")
        self.units, self.num_heads, self.hidden_units = units, num_heads, hidden_units
        self.cross, self.norm, self.activation, self.dropout = cross, norm, activation, dropout
        self.epsilon = epsilon
        policy = self.dtype_policy
        self.self_attention = self._look_back(units, num_heads, dropout, dtype=policy)
        self.self_norm = make_norm(policy, epsilon)
        self.cross_attention = self.cross_norm = None
        if cross:
            self.cross_attention = CrossAttention(units, num_heads, dropout, dtype=policy)
            self.cross_norm = make_norm(policy, epsilon)
        self.feed_forward = FeedForward(units, hidden_units, activation, dropout, dtype=policy)
        self.feed_norm = make_norm(policy, epsilon)
        self.residual_dropout = Dropout(dropout, dtype=policy)
        self.supports_masking = True

    def _look_back(self, *args, **kwargs):
        """What shows a place the others; a sub-class may have something else for it."""
        return SelfAttention(*args, **kwargs)

    def build(self, inputs_shape, memory_shape=None):
        shape = (None, None, self.units)
        parts = [self.self_attention, self.self_norm, self.feed_forward, self.feed_norm]
        for layer in parts + ([self.cross_norm] if self.cross else []):
            if not layer.built:
                layer.build(shape)
        if self.cross and not self.cross_attention.built:
            self.cross_attention.build(shape, memory_shape or shape)

    def compute_mask(self, *args, **kwargs):
        return None

    def project(self, memory, mask):
        """What the layer needs of a memory [B, M, D_m]; None without cross-attention."""
        if not self.cross:
            return None
        keys, values = self.cross_attention.project(memory)
        return {"keys": keys, "values": values, "mask": mask}

    def call(self, inputs, memory=None, mask=None, training=None):
        def attend(x):
            return self.self_attention(x, mask=mask, training=training)

        def look(x):
            return self.cross_attention(x, **memory, training=training)

        return self._run(inputs, attend, look, training)

    def step(self, inputs, sizes, position, memory, cache):
        """One position of K hypotheses.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar.
            memory: as for the call.
            cache: of the self-attention.

        Returns:
            outputs [B * K, D], the new cache, and weights [B, H, K, M] or None.
        """

        def attend(x):
            return self.self_attention.step(x, sizes, position, cache)

        def look(x):
            return self.cross_attention.step(x, sizes, **memory)

        return self._run(inputs, attend, look, False)

    def _run(self, x, attend, look, training):
        cross_weights = None
        x, kept = self._residual(x, self.self_norm, attend, training)
        if self.cross:
            x, cross_weights = self._residual(x, self.cross_norm, look, training)

        def feed(x):
            return self.feed_forward(x, training=training), None

        x, _ = self._residual(x, self.feed_norm, feed, training)
        return x, kept, cross_weights

    def _residual(self, x, norm, part, training):
        outputs, kept = part(norm(x) if self.norm == "pre" else x)
        x = x + self.residual_dropout(outputs, training=training)
        return (x if self.norm == "pre" else norm(x)), kept

    def get_config(self):
        own = ("units", "num_heads", "hidden_units", "cross", "norm", "activation", "dropout",
               "epsilon")  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
