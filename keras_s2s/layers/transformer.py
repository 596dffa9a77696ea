"""The layers of a Transformer: feed-forward part, encoder layer, decoder layer."""

import keras

from keras_s2s.attention import CrossAttention, SelfAttention
from keras_s2s.attention.positions import ATTENTION_POSITIONS, make_position
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.normalization import LayerNormalization, make_norm
from keras_s2s.layers.positions import SINUSOIDAL_KINDS, LearnedPositions

__all__ = [
    "FeedForward",
    "LayerNormalization",
    "TransformerLayer",
    "check_absolute_positions",
    "check_stack",
    "head_names",
    "make_layers",
    "make_norm",
    "make_position_table",
    "parse_positions",
]


def check_stack(
    units,
    num_layers,
    num_heads,
    hidden_units,
    epsilon=1e-6,
    positions="sinusoidal",
    scaled=True,
    first_position=0,
):
    """Refuses what no stack of layers can have.

    Raises:
        ValueError: naming the argument that is not a positive integer (`hidden_units` may be
            None), an odd `units`, or another argument that stands for nothing.
    """
    inner = {} if hidden_units is None else {"hidden_units": hidden_units}
    check_positive_integers(units=units, num_layers=num_layers, num_heads=num_heads, **inner)
    kind, _ = parse_positions(positions)
    if units % 2 and kind in SINUSOIDAL_KINDS:
        raise ValueError(f"units: expected an even width for sinusoidal positions, came {units}")
    number = isinstance(epsilon, int | float) and not isinstance(epsilon, bool)
    if not number or not 0 < epsilon < 1:
        raise ValueError(f"epsilon: expected a number between 0 and 1, came {epsilon!r}")
    if not isinstance(scaled, bool):
        raise ValueError(f"scaled: expected True or False, came {scaled!r}")
    if type(first_position) is not int or first_position < 0:
        expected = "expected an integer of at least 0"
        raise ValueError(f"first_position: {expected}, came {first_position!r}")


def parse_positions(positions):
    """The kind of positions of a stack, and what else is said of them.

    Args:
        positions: a kind, or a dict of `kind` and the arguments of its class: `"sinusoidal"` and
            `"vaswani"` (see `keras_s2s.embeddings.sinusoidal`), `"none"`, `"learned"`
            (`LearnedPositions`: max_length), `"relative"` (`RelativePosition`: max_distance),
            `"t5"` (`BucketPosition`: num_buckets, max_distance), `"rotary"` (`RotaryPosition`:
            base), `"alibi"` (`AlibiPosition`).

    Returns:
        the kind, and a dict of the arguments.

    Raises:
        ValueError: for another kind.
    """
    options = dict(positions) if isinstance(positions, dict) else {"kind": positions}
    kind, kinds = (
        options.pop("kind", None),
        [*SINUSOIDAL_KINDS, "none", "learned", *ATTENTION_POSITIONS],
    )
    if kind not in kinds:
        raise ValueError(f"positions: expected one of {', '.join(kinds)}, came {kind!r}")
    if options and kind in (*SINUSOIDAL_KINDS, "none"):
        raise ValueError(f"positions: {kind} has no arguments, came {', '.join(options)}")
    return kind, options


def check_absolute_positions(positions):
    """The kind of positions of a part without self-attention, which can only add to the vectors.

    Raises:
        ValueError: for another kind.
    """
    kind, _ = parse_positions(positions)
    if kind in ATTENTION_POSITIONS:
        kinds = ", ".join((*SINUSOIDAL_KINDS, "none", "learned"))
        raise ValueError(
            f"positions: expected one of {kinds} without self-attention, came {positions!r}"
        )
    return kind


def make_layers(stack, cross, layer_class=None):
    """The layers of an encoder or, with `cross`, of a decoder that sees what stands before alone.

    Args:
        stack: a layer with the arguments of `TransformerEncoder` as attributes.
        cross: whether they attend to a memory.
        layer_class: what they are, when not `TransformerLayer`.

    Returns:
        list of `TransformerLayer`s, float tensors [B, N, D] -> [B, N, D].

    Raises:
        ValueError: as for `TransformerLayer`, or for arguments of positions that do not do.
    """
    kind, options = parse_positions(stack.positions)
    policy, size = stack.dtype_policy, stack.units // stack.num_heads

    def position():
        if kind not in ATTENTION_POSITIONS:
            return None
        return make_position(kind, stack.num_heads, size, cross, policy, **options)

    shared = position() if kind == "t5" else None
    return [
        (layer_class or TransformerLayer)(
            stack.units,
            stack.num_heads,
            stack.hidden_units or 4 * stack.units,
            cross,
            stack.norm,
            stack.activation,
            stack.dropout,
            stack.epsilon,
            shared or position(),
            dtype=policy,
        )
        for _ in range(stack.num_layers)
    ]


def make_position_table(units, positions):
    """`LearnedPositions` [N] -> [N, D] of what a stack says of its positions, or None."""
    kind, options = parse_positions(positions)
    return LearnedPositions(units, **options) if kind == "learned" else None


def head_names(num_layers, num_heads):
    """Names of a stack's attention maps, layer by layer, head by head."""
    return [
        f"layer {layer + 1} head {head + 1}"
        for layer in range(num_layers)
        for head in range(num_heads)
    ]


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
        position: of the self-attention, see `SelfAttention`.

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

    def __init__(
        self,
        units,
        num_heads,
        hidden_units,
        cross=False,
        norm="pre",
        activation="relu",
        dropout=0.0,
        epsilon=1e-6,
        position=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm not in ("pre", "post"):
            raise ValueError(f"norm: expected 'pre' or 'post', came {norm!r}")
        self.units, self.num_heads, self.hidden_units = units, num_heads, hidden_units
        self.cross, self.norm, self.activation, self.dropout = cross, norm, activation, dropout
        self.epsilon = epsilon
        policy = self.dtype_policy
        self.self_attention = self._make_self_attention(
            units, num_heads, dropout, position, dtype=policy
        )
        self.self_norm = make_norm(policy, epsilon)
        self.cross_attention = self.cross_norm = None
        if cross:
            self.cross_attention = CrossAttention(units, num_heads, dropout, dtype=policy)
            self.cross_norm = make_norm(policy, epsilon)
        self.feed_forward = FeedForward(units, hidden_units, activation, dropout, dtype=policy)
        self.feed_norm = make_norm(policy, epsilon)
        self.residual_dropout = Dropout(dropout, dtype=policy)
        self.supports_masking = True

    def _make_self_attention(self, *args, **kwargs):
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

    def project(self, memory, mask, keys=None):
        """What the layer needs of a memory [B, M, D_m]; None without cross-attention.

        Args:
            memory: float tensor [B, M, D_m].
            mask: bool tensor [B, M].
            keys: float tensor [B, M, D_m], in place of `memory` for what queries are compared with.
        """
        if not self.cross:
            return None
        keys, values = self.cross_attention.project(memory, keys)
        return {"keys": keys, "values": values, "mask": mask}

    def call(self, inputs, memory=None, mask=None, training=None):
        def attend(x):
            return self.self_attention(x, mask=mask, training=training)

        def look(x):
            return self.cross_attention(x, **memory, training=training)

        return self._run(inputs, attend, look, training)

    def step(self, inputs, sizes, position, memory, cache, mask=None):
        """One position of K hypotheses.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar.
            memory: as for the call.
            cache, mask: of the self-attention.

        Returns:
            outputs [B * K, D], the new cache, and weights [B, H, K, M] or None.
        """

        def attend(x):
            return self.self_attention.step(x, sizes, position, cache, mask)

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
        own = (
            "units",
            "num_heads",
            "hidden_units",
            "cross",
            "norm",
            "activation",
            "dropout",
            "epsilon",
        )
        position = keras.saving.serialize_keras_object(self.self_attention.position)
        own = {name: getattr(self, name) for name in own}
        return {**super().get_config(), **own, "position": position}

    @classmethod
    def from_config(cls, config):
        position = keras.saving.deserialize_keras_object(config["position"])
        return cls(**{**config, "position": position})
