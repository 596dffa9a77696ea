"""Transformer decoders whose view of the target is a state of one size at every position."""

import keras
import tensorflow as tf

from keras_s2s.decoders.transformer import TransformerDecoder
from keras_s2s.layers import recurrent
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.feed_forward import FeedForward
from keras_s2s.layers.transformer import TransformerLayer
from keras_s2s.layers.transformer_stack import check_absolute_positions

__all__ = ["SSRU", "AverageAttention", "AverageLayer", "FastTransformerDecoder", "SSRULayer"]


class _History(keras.layers.Layer):
    """What stands where a decoder's self-attention does, and gives no maps.

    The state is float32 [B, K, D] whatever the policy, and as large at every position.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True

    def compute_mask(self, *args, **kwargs):
        return None

    def initial_cache(self, batch, num_hypotheses, max_length=None):
        """Zeros: {"past": float32 [B, K, D]}."""
        return {"past": tf.zeros([batch, num_hypotheses, self.units])}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("keras_s2s")
class AverageAttention(_History):
    """The mean of all inputs so far, through a feed-forward layer and a gate.

    g_j = FFN(1/j sum_(k <= j) y_k), [i_j; f_j] = sigmoid(W [y_j; g_j] + b), and the output is
    i_j * y_j + f_j * g_j. `call` takes one cumulative sum, `step` adds to it.

    Args:
        units: width D.
        hidden_units: width of the feed-forward layer's inside.
        dropout: share dropped inside it in training.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: ignored; a place sees itself and those before it.

    Output:
        float tensor [B, N, D] and None, for there are no maps.

    Reference: Zhang et al. 2018, arXiv:1805.00631, section 3.
    """

    def __init__(self, units, hidden_units, dropout=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.hidden_units, self.dropout, policy = hidden_units, dropout, self.dtype_policy
        self.feed_forward = FeedForward(units, hidden_units, dropout=dropout, dtype=policy)
        self.gate = Linear(2 * units, dtype=policy)

    def build(self, inputs_shape):
        for layer, width in ((self.feed_forward, self.units), (self.gate, 2 * self.units)):
            if not layer.built:
                layer.build((None, width))

    def call(self, inputs, mask=None, training=None):
        count = tf.range(1, tf.shape(inputs)[1] + 1)
        total = tf.cumsum(tf.cast(inputs, tf.float32), 1)
        mean = total / tf.cast(tf.reshape(count, [1, -1, 1]), tf.float32)
        return self._mix(inputs, mean, training), None

    def step(self, inputs, sizes, position, cache, mask=None):
        """One position of K hypotheses: [B * K, D] -> [B * K, D], and the new state."""
        past = cache["past"] + tf.reshape(tf.cast(inputs, tf.float32), tf.shape(cache["past"]))
        mean = past / tf.cast(position + 1, tf.float32)
        return self._mix(inputs, tf.reshape(mean, [-1, self.units])), {"past": past}

    def _mix(self, inputs, mean, training=False):
        given = self.feed_forward(tf.cast(mean, self.compute_dtype), training=training)
        gates = tf.sigmoid(self.gate(tf.concat([inputs, given], -1)))
        enter, keep = tf.split(gates, 2, -1)
        return enter * inputs + keep * given

    def get_config(self):
        own = {"hidden_units": self.hidden_units, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_s2s")
class SSRU(_History):
    """Simpler simple recurrent unit: all of its products run ahead of the loop.

    f_t = sigmoid(W_f x_t + b_f), c_t = f_t * c_(t-1) + (1 - f_t) * W x_t, and the output is
    ReLU(c_t).

    Args:
        units: width D.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: ignored; a place sees itself and those before it.

    Output:
        float tensor [B, N, D] and None, for there are no maps.

    Reference: Kim et al. 2019, "From Research to Production and Back: Ludicrously Fast Neural
    Machine Translation", D19-5632.
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.gate = Linear(units, dtype=self.dtype_policy)
        self.projection = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        for layer in (self.gate, self.projection):
            if not layer.built:
                layer.build((None, self.units))

    def call(self, inputs, mask=None, training=None):
        def advance(here, past):
            keep, enter = here
            past = keep * past + enter
            return past, past

        past = tf.zeros([tf.shape(inputs)[0], self.units])
        like = tf.TensorSpec([None, self.units], tf.float32)
        cells, _ = recurrent.unroll(advance, self._project(inputs), past, like)
        return self._finish(cells), None

    def step(self, inputs, sizes, position, cache, mask=None):
        """One position of K hypotheses: [B * K, D] -> [B * K, D], and the new state."""
        keep, enter = self._project(inputs)
        shape = tf.shape(cache["past"])
        past = tf.reshape(keep, shape) * cache["past"] + tf.reshape(enter, shape)
        return self._finish(tf.reshape(past, [-1, self.units])), {"past": past}

    def _project(self, inputs):
        """The gate f and (1 - f) * W x, float32 [..., D]."""
        keep = tf.sigmoid(tf.cast(self.gate(inputs), tf.float32))
        return keep, (1.0 - keep) * tf.cast(self.projection(inputs), tf.float32)

    def _finish(self, cells):
        return tf.cast(tf.nn.relu(cells), self.compute_dtype)


@keras.saving.register_keras_serializable("keras_s2s")
class AverageLayer(TransformerLayer):
    """A `TransformerLayer`, [B, N, D] -> [B, N, D], with average attention for self-attention."""

    def _make_self_attention(self, units, num_heads, dropout, *args, **kwargs):
        return AverageAttention(units, self.hidden_units, dropout, **kwargs)


@keras.saving.register_keras_serializable("keras_s2s")
class SSRULayer(TransformerLayer):
    """A `TransformerLayer`, [B, N, D] -> [B, N, D], with an SSRU for self-attention."""

    def _make_self_attention(self, units, *args, **kwargs):
        return SSRU(units, **kwargs)


HISTORIES = {"average": AverageLayer, "ssru": SSRULayer}


@keras.saving.register_keras_serializable("keras_s2s")
class FastTransformerDecoder(TransformerDecoder):
    """The Transformer decoder with average attention or an SSRU in place of self-attention.

    A step takes the same work and memory at every position. There are no self-attention maps.

    Args:
        units: width D; the target vectors must have it too.
        num_layers: number of layers L.
        num_heads: number of heads H of the cross-attention, a divisor of `units`.
        hidden_units: width of the feed-forward inner layers; 4 D when None.
        norm: `"pre"` or `"post"`.
        dropout: share dropped in training.
        history: `"average"` (`AverageAttention`) or `"ssru"` (`SSRU`).
        positions: of the target vectors, as for `TransformerDecoder`, of a kind that needs no
            self-attention.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Output:
        float tensor [B, T, D] and None or {"cross": float32 [B, A, T, M]}, A = L * H.

    Raises:
        ValueError: for another `history`, positions of self-attention, and as
            `TransformerDecoder`.

    Reference: Zhang et al. 2018, arXiv:1805.00631; Kim et al. 2019, D19-5632.
    """

    def __init__(
        self,
        units,
        num_layers=6,
        num_heads=8,
        hidden_units=None,
        norm="pre",
        dropout=0.1,
        history="ssru",
        positions="sinusoidal",
        **kwargs,
    ):
        if history not in HISTORIES:
            raise ValueError(f"history: expected 'average' or 'ssru', came {history!r}")
        check_absolute_positions(positions)
        self.history, self.layer_class = history, HISTORIES[history]
        super().__init__(
            units,
            num_layers,
            num_heads,
            hidden_units,
            norm,
            dropout=dropout,
            positions=positions,
            **kwargs,
        )

    def get_config(self):
        own = (
            "units",
            "num_layers",
            "num_heads",
            "hidden_units",
            "norm",
            "dropout",
            "history",
            "positions",
        )
        # Not the parent's own arguments, of which this class lacks some.
        base = super(TransformerDecoder, self).get_config()
        return {**base, **{name: getattr(self, name) for name in own}}
