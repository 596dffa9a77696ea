"""Multi-head attention: over a memory, and over the sequence itself with a cache for steps."""

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.base import Attention
from keras_s2s.layers import loop_backend
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout


@keras.saving.register_keras_serializable("keras_s2s")
class CrossAttention(Attention):
    """Multi-head attention of decoder states over a memory.

    `project` computes the memory's keys and values once; K hypotheses of one source are simply K
    queries, so the memory is never repeated.

    Args:
        units: width D of query and output, a multiple of `num_heads`.
        num_heads: number of heads H.
        dropout: share of attention weights dropped in training.

    Call arguments:
        query: float tensor [B, Q, D].
        keys, values: float tensors [B, H, M, D / H], from `project`.
        mask: bool tensor [B, M], True = a real token.

    Output:
        float tensor [B, Q, D] and float32 weights [B, H, Q, M].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """

    def __init__(self, units, num_heads, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads, self.dropout = units, num_heads, dropout
        self._scale = self._head_scale(units, num_heads)
        self.query_projection = Linear(units, dtype=self.dtype_policy)
        self.memory_projection = Linear(2 * units, dtype=self.dtype_policy)
        self.output_projection = Linear(units, dtype=self.dtype_policy)
        self.weight_dropout = Dropout(dropout, dtype="float32")

    def build(self, query_shape, memory_shape=None):
        memory_width = (memory_shape or query_shape)[-1]
        for layer, width in (
            (self.query_projection, query_shape[-1]),
            (self.memory_projection, memory_width),
            (self.output_projection, self.units),
        ):
            if not layer.built:
                layer.build((None, width))

    def project(self, memory, keys=None):
        """Keys and values of a memory, or of the two: [B, M, D_m] -> twice [B, H, M, D / H]."""
        own, values = functions.split_heads(self.memory_projection(memory), 2, self.num_heads)
        if keys is None:
            return own, values
        own, _ = functions.split_heads(self.memory_projection(keys), 2, self.num_heads)
        return own, values

    def call(self, query, keys, values, mask=None, training=None):
        (query,) = functions.split_heads(
            self.query_projection(query) * self._scale, 1, self.num_heads
        )
        if mask is not None:
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        return self.output_projection(functions.merge_heads(outputs)), weights

    def step(self, inputs, sizes, keys, values, mask=None):
        """What the call gives for K queries of each row, on flat tensors and without dropout.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            keys, values, mask: as for the call; the mask may be `places` of one, [B, 1, 1, M].

        Returns:
            float tensor [B * K, D] and float32 weights [B, H, K, M].
        """
        query = self.query_projection(inputs) * self._scale
        query = tf.reshape(query, [*sizes, self.num_heads, self.units // self.num_heads])
        query = tf.transpose(query, [0, 2, 1, 3])  # [B, H, K, d]
        if mask is not None and not isinstance(mask, dict):
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = functions.dot_product_attention(query, keys, values, mask)
        outputs = tf.reshape(tf.transpose(outputs, [0, 2, 1, 3]), [-1, self.units])
        return self.output_projection(outputs), weights

    def get_config(self):
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_s2s")
class SelfAttention(Attention):
    """Multi-head attention of a sequence over itself, whole or one position at a time.

    `call` runs a whole sequence. `step` runs one position of K hypotheses over a cache and gives
    what `call` gives at that position under a causal mask.

    Args:
        units: width D, a multiple of `num_heads`.
        num_heads: number of heads H.
        dropout: share of attention weights dropped in training.
        position: a `SelfPosition` for H heads of width D / H; None when the vectors themselves
            say where they stand.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: bool tensor that broadcasts to [B, N, N], True = may be seen.

    Output:
        float tensor [B, N, D] and float32 weights [B, H, N, N].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; positions: see
    `keras_s2s.attention.positions`.
    """

    def __init__(self, units, num_heads, dropout=0.0, position=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads, self.dropout = units, num_heads, dropout
        self.position = position
        self._scale = self._head_scale(units, num_heads)
        self.input_projection = Linear(3 * units, dtype=self.dtype_policy)
        self.output_projection = Linear(units, dtype=self.dtype_policy)
        self.weight_dropout = Dropout(dropout, dtype="float32")

    def build(self, inputs_shape):
        for layer, width in (
            (self.input_projection, inputs_shape[-1]),
            (self.output_projection, self.units),
        ):
            if not layer.built:
                layer.build((None, width))
        if self.position is not None and not self.position.built:
            self.position.build()

    def call(self, inputs, mask=None, training=None):
        query, keys, values = functions.split_heads(
            self.input_projection(inputs), 3, self.num_heads
        )
        if mask is not None:
            mask = tf.expand_dims(mask, 1)  # [B, 1, N, N]
        query = query * self._scale
        if self.position is None:
            outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        else:
            places = tf.range(tf.shape(query)[2])
            keys = self.position.rotate(keys, places)
            outputs, weights = self._attend_by_place(
                query, keys, values, mask, (places, places), training
            )
        return self.output_projection(functions.merge_heads(outputs)), weights

    def _attend_by_place(self, query, keys, values, mask, places, training=False):
        """Attention with positions: the keys are turned already, `places` are [Q] and [N]."""
        query = self.position.rotate(query, places[0])
        scores = tf.matmul(query, keys, transpose_b=True)
        bias = self.position.bias(query, *places)
        if bias is not None:
            scores = tf.cast(scores, tf.float32) + bias
        weights = functions.masked_softmax(scores, mask)  # [..., H, Q, N]
        kept = self.weight_dropout(weights, training=training)
        outputs = tf.matmul(tf.cast(kept, values.dtype), values)
        more = self.position.values(kept, *places)
        return (outputs if more is None else outputs + tf.cast(more, outputs.dtype)), weights

    def initial_cache(self, batch, num_hypotheses, max_length=None):
        """An empty cache. Without `max_length` it grows by a place a step; with it, it has that
        many places from the start, so that every shape is fixed, and a step needs a `mask`.

        Returns:
            dict of `keys` and `values` [B, K, H, t, D / H].
        """
        size, places = self.units // self.num_heads, 0 if max_length is None else max_length
        empty = tf.zeros([batch, num_hypotheses, self.num_heads, places, size], self.compute_dtype)
        return {"keys": empty, "values": empty}

    def step(self, inputs, sizes, position, cache, mask=None):
        """One position of K hypotheses, on flat tensors.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar, 0 at the first target token.
            cache: from `initial_cache` or the step before.
            mask: for a cache of a fixed size, the places filled after this step, as
                `functions.masked_softmax` takes it for scores [B, K, H, 1, t].

        Returns:
            float tensor [B * K, D], and the cache with this position in it.
        """
        size = self.units // self.num_heads
        projected = tf.reshape(self.input_projection(inputs), [*sizes, 3, self.num_heads, 1, size])
        query, keys, values = tf.unstack(projected, num=3, axis=2)  # [B, K, H, 1, d]
        here = tf.reshape(position, [1])
        if self.position is not None:
            keys = self.position.rotate(keys, here)
        cache = _write(cache, keys, values, None if mask is None else position)
        query, seen = query * self._scale, (cache["keys"], cache["values"], mask)
        if self.position is None:
            outputs, _ = functions.dot_product_attention(query, *seen)
        else:
            places = tf.range(tf.shape(cache["keys"])[3])
            outputs, _ = self._attend_by_place(query, *seen, (here, places))
        return self.output_projection(tf.reshape(outputs, [-1, self.units])), cache

    def get_config(self):
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        own["position"] = keras.saving.serialize_keras_object(self.position)
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        position = keras.saving.deserialize_keras_object(config["position"])
        return cls(**{**config, "position": position})


def _attend(query, keys, values, mask, dropout, training):
    """Attention with dropout on the weights; the weights returned are those before dropout."""
    if not training or not dropout.rate:
        return functions.dot_product_attention(query, keys, values, mask)
    weights = functions.masked_softmax(tf.matmul(query, keys, transpose_b=True), mask)
    kept = tf.cast(dropout(weights, training=True), values.dtype)
    return tf.matmul(kept, values), weights


def _write(cache, keys, values, position):
    """The cache with one more place: appended, or written at `position` if there is one."""
    if position is None:
        return {
            "keys": tf.concat([cache["keys"], keys], 3),
            "values": tf.concat([cache["values"], values], 3),
        }
    return {
        "keys": loop_backend.put(cache["keys"], position, keys, 3),
        "values": loop_backend.put(cache["values"], position, values, 3),
    }
