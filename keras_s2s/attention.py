"""Attention: how a query picks from a memory. Pure functions, and thin layers over them.

Weights are float32 whatever the policy, and the weights of a row without a single real token are
zero, so that an empty row gives zeros and no NaN.
"""

import keras
import tensorflow as tf

from keras_s2s.linear import Dropout, Linear

__all__ = [
    "AdditiveAttention",
    "CrossAttention",
    "SelfAttention",
    "additive_scores",
    "dot_product_attention",
    "masked_softmax",
    "merge_heads",
    "split_heads",
]

MASKED_SCORE = -1e9  # finite: minus infinity would give NaN on a row of padding alone


def masked_softmax(scores, mask=None):
    """Softmax over the last axis among the places that `mask` leaves.

    Args:
        scores: float tensor [..., N].
        mask: bool tensor that broadcasts to `scores`, True = may be picked; None = all.

    Returns:
        float32 tensor [..., N]; rows sum to 1, or to 0 where the mask leaves no place.
    """
    scores = tf.cast(scores, tf.float32)
    if mask is None:
        return tf.nn.softmax(scores)
    # The mask is smaller than the scores: adding it is cheaper than selecting by it.
    weights = tf.nn.softmax(scores + tf.where(mask, 0.0, MASKED_SCORE))
    return weights * tf.cast(tf.reduce_any(mask, -1, keepdims=True), tf.float32)


def additive_scores(query, keys):
    """The hidden layer of additive attention, tanh(W q + U k), on projected tensors.

    Args:
        query: float tensor [B, Q, A], projected queries W q.
        keys: float tensor [B, M, A], projected memory U k.

    Returns:
        float tensor [B, Q, M, A].

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2.
    """
    return tf.tanh(tf.expand_dims(query, 2) + tf.expand_dims(keys, 1))  # [B, Q, M, A]


def dot_product_attention(query, keys, values, mask=None):
    """softmax(Q K^T) V; the caller has scaled the query.

    Args:
        query: float tensor [..., Q, d].
        keys, values: float tensors [..., N, d] with the same leading axes.
        mask: bool tensor that broadcasts to [..., Q, N], True = may be seen.

    Returns:
        float tensor [..., Q, d] and the float32 weights [..., Q, N].

    Reference: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    scores = tf.matmul(query, keys, transpose_b=True)
    weights = masked_softmax(scores, mask)  # [..., Q, N]
    return tf.matmul(tf.cast(weights, values.dtype), values), weights


def split_heads(inputs, parts, num_heads):
    """[B, N, parts * D] -> `parts` tensors [B, H, N, D / H]."""
    batch, length, width = tf.shape(inputs)[0], tf.shape(inputs)[1], inputs.shape[-1]
    size = width // (parts * num_heads)
    inputs = tf.reshape(inputs, [batch, length, parts, num_heads, size])
    return tf.unstack(tf.transpose(inputs, [2, 0, 3, 1, 4]), num=parts)


def merge_heads(inputs):
    """[B, H, N, d] -> [B, N, H * d]."""
    shape, width = tf.shape(inputs), inputs.shape[1] * inputs.shape[3]
    return tf.reshape(tf.transpose(inputs, [0, 2, 1, 3]), [shape[0], shape[2], width])


class _Attention(keras.layers.Layer):
    """What the attention layers share: they take masks as arguments and never pass them on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *args, **kwargs):
        return None

    def _heads_of(self, units, num_heads):
        if num_heads < 1 or units % num_heads:
            raise ValueError(f"num_heads: expected a divisor of units ({units}), came {num_heads}")
        return (units // num_heads) ** -0.5


@keras.saving.register_keras_serializable("keras_s2s")
class AdditiveAttention(_Attention):
    """Additive attention: e_ij = v^T tanh(W q_i + U k_j + b), weights = softmax_j(e_ij).

    `project` computes U k + b once for a memory; every call reuses it.

    Args:
        units: width A of the hidden layer.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: Bahdanau et al. 2015, arXiv:1409.0473, section 3.1 and appendix A.1.2.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.query_projection = Linear(units, use_bias=False, dtype=self.dtype_policy)
        self.key_projection = Linear(units, dtype=self.dtype_policy)
        self.score = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        for layer, width in (
            (self.query_projection, query_shape[-1]),
            (self.key_projection, values_shape[-1]),
            (self.score, self.units),
        ):
            if not layer.built:
                layer.build((None, width))

    def project(self, values):
        """U k + b of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.key_projection(values)

    def call(self, query, keys, values, mask=None):
        return self._attend(self.query_projection(query), keys, values, mask)

    def step(self, query, sizes, keys, values, mask=None):
        """What the call gives for K queries of each row, on flat tensors.

        Args:
            query: float tensor [B * K, D_q].
            sizes: B and K.
            keys, values, mask: as for the call.

        Returns:
            context [B * K, D_m] and float32 weights [B, K, M].
        """
        query = tf.reshape(self.query_projection(query), [*sizes, self.units])
        seen, weights = self._attend(query, keys, values, mask)
        return tf.reshape(seen, [-1, values.shape[-1]]), weights

    def _attend(self, query, keys, values, mask):
        hidden = additive_scores(query, keys)  # [B, Q, M, A]
        scores = tf.reshape(self.score(tf.reshape(hidden, [-1, self.units])), tf.shape(hidden)[:3])
        weights = masked_softmax(scores, None if mask is None else tf.expand_dims(mask, 1))
        return tf.matmul(tf.cast(weights, values.dtype), values), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("keras_s2s")
class CrossAttention(_Attention):
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
        self._scale = self._heads_of(units, num_heads)
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

    def project(self, memory):
        """Keys and values of a memory: [B, M, D_m] -> twice [B, H, M, D / H]."""
        return split_heads(self.memory_projection(memory), 2, self.num_heads)

    def call(self, query, keys, values, mask=None, training=None):
        (query,) = split_heads(self.query_projection(query) * self._scale, 1, self.num_heads)
        if mask is not None:
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        return self.output_projection(merge_heads(outputs)), weights

    def step(self, inputs, sizes, keys, values, mask=None):
        """What the call gives for K queries of each row, on flat tensors and without dropout.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            keys, values, mask: as for the call.

        Returns:
            float tensor [B * K, D] and float32 weights [B, H, K, M].
        """
        query = self.query_projection(inputs) * self._scale
        query = tf.reshape(query, [*sizes, self.num_heads, self.units // self.num_heads])
        query = tf.transpose(query, [0, 2, 1, 3])  # [B, H, K, d]
        if mask is not None:
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = dot_product_attention(query, keys, values, mask)
        outputs = tf.reshape(tf.transpose(outputs, [0, 2, 1, 3]), [-1, self.units])
        return self.output_projection(outputs), weights

    def get_config(self):
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_s2s")
class SelfAttention(_Attention):
    """Multi-head attention of a sequence over itself, whole or one position at a time.

    `call` runs a whole sequence. `step` runs one position of K hypotheses over a cache and gives
    what `call` gives at that position under a causal mask.

    Args:
        units: width D, a multiple of `num_heads`.
        num_heads: number of heads H.
        dropout: share of attention weights dropped in training.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: bool tensor that broadcasts to [B, N, N], True = may be seen.

    Output:
        float tensor [B, N, D] and float32 weights [B, H, N, N].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """

    def __init__(self, units, num_heads, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.num_heads, self.dropout = units, num_heads, dropout
        self._scale = self._heads_of(units, num_heads)
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

    def call(self, inputs, mask=None, training=None):
        query, keys, values = split_heads(self.input_projection(inputs), 3, self.num_heads)
        if mask is not None:
            mask = tf.expand_dims(mask, 1)  # [B, 1, N, N]
        query = query * self._scale
        outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        return self.output_projection(merge_heads(outputs)), weights

    def initial_cache(self, batch, num_hypotheses, max_length=None):
        """An empty cache. Without `max_length` it grows by a place a step; with it, it has that
        many places from the start and a mask of those filled, so that every shape is fixed.

        Returns:
            dict of `keys` and `values` [B, K, H, t, D / H], and `filled` bool [B, K, max_length]
            when `max_length` is given.
        """
        size, places = self.units // self.num_heads, 0 if max_length is None else max_length
        empty = tf.zeros([batch, num_hypotheses, self.num_heads, places, size], self.compute_dtype)
        cache = {"keys": empty, "values": empty}
        if max_length is not None:
            cache["filled"] = tf.zeros([batch, num_hypotheses, places], tf.bool)
        return cache

    def step(self, inputs, sizes, position, cache):
        """One position of K hypotheses, on flat tensors.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar, 0 at the first target token.
            cache: from `initial_cache` or the step before.

        Returns:
            float tensor [B * K, D], and the cache with this position in it.
        """
        size = self.units // self.num_heads
        projected = tf.reshape(
            self.input_projection(inputs), [*sizes, 3, self.num_heads, 1, size]
        )
        query, keys, values = tf.unstack(projected, num=3, axis=2)  # [B, K, H, 1, d]
        cache = _write(cache, keys, values, position)
        mask = None
        if "filled" in cache:
            mask = tf.expand_dims(tf.expand_dims(cache["filled"], 2), 2)  # [B, K, 1, 1, t]
        outputs, _ = dot_product_attention(
            query * self._scale, cache["keys"], cache["values"], mask
        )
        return self.output_projection(tf.reshape(outputs, [-1, self.units])), cache

    def get_config(self):
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        return {**super().get_config(), **own}


def _attend(query, keys, values, mask, dropout, training):
    """Attention with dropout on the weights; the weights returned are those before dropout."""
    if not training or not dropout.rate:
        return dot_product_attention(query, keys, values, mask)
    weights = masked_softmax(tf.matmul(query, keys, transpose_b=True), mask)
    kept = tf.cast(dropout(weights, training=True), values.dtype)
    return tf.matmul(kept, values), weights


def _write(cache, keys, values, position):
    """The cache with one more place: appended, or written at `position` when its size is fixed."""
    if "filled" not in cache:
        return {
            "keys": tf.concat([cache["keys"], keys], 3),
            "values": tf.concat([cache["values"], values], 3),
        }
    here = tf.equal(tf.range(tf.shape(cache["filled"])[2]), position)  # [t]
    column = tf.reshape(here, [1, 1, 1, -1, 1])
    return {
        "keys": tf.where(column, keys, cache["keys"]),
        "values": tf.where(column, values, cache["values"]),
        "filled": tf.logical_or(cache["filled"], here),
    }
