"""Multi-head attention over a memory, and over a sequence itself with a cache for decoding."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.base import Attention
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend


@keras.saving.register_keras_serializable("keras_s2s")
class CrossAttention(Attention):
    """Multi-head attention of decoder states over a memory.

    `project` computes the keys and values of the memory once. K hypotheses of one source are K
    queries, so the memory is never repeated.

    Args:
        units: int, width D of query and output, a multiple of `num_heads`.
        num_heads: int, number of heads H.
        dropout: float, share of attention weights dropped in training.

    Call arguments:
        query: float tensor [B, Q, D].
        keys, values: float tensors [B, H, M, D / H], from `project`.
        mask: bool tensor [B, M], True = a real token.

    Output:
        float tensor [B, Q, D] and float32 weights [B, H, Q, M].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import CrossAttention
    >>> layer = CrossAttention(units=8, num_heads=2)
    >>> layer.build((None, None, 8))
    >>> keys, values = layer.project(tf.ones([1, 5, 8]))
    >>> outputs, weights = layer(tf.ones([1, 3, 8]), keys, values)
    >>> outputs.shape, weights.shape
    (TensorShape([1, 3, 8]), TensorShape([1, 2, 3, 5]))
    """

    def __init__(self, units: int, num_heads: int, dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.num_heads, self.dropout = units, num_heads, dropout
        self._scale = self._head_scale(units, num_heads)
        self.query_projection = Linear(units, dtype=self.dtype_policy)
        self.memory_projection = Linear(2 * units, dtype=self.dtype_policy)
        self.output_projection = Linear(units, dtype=self.dtype_policy)
        self.weight_dropout = Dropout(dropout, dtype="float32")

    def build(self, query_shape: Sequence, memory_shape: Sequence | None = None) -> None:
        memory_width = (memory_shape or query_shape)[-1]
        for layer, width in (
            (self.query_projection, query_shape[-1]),
            (self.memory_projection, memory_width),
            (self.output_projection, self.units),
        ):
            if not layer.built:
                layer.build((None, width))

    def project(
        self, memory: tf.Tensor, keys: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Projects a memory to keys and values.

        Args:
            memory: float tensor [B, M, D_m].
            keys: float tensor [B, M, D_m] that the keys are projected from; None for `memory`.

        Returns:
            Keys and values, float tensors [B, H, M, D / H].
        """
        projected, values = functions.split_heads(self.memory_projection(memory), 2, self.num_heads)
        if keys is not None:
            projected, _ = functions.split_heads(self.memory_projection(keys), 2, self.num_heads)
        return projected, values

    def call(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        (query,) = functions.split_heads(
            self.query_projection(query) * self._scale, 1, self.num_heads
        )
        if mask is not None:
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        return self.output_projection(functions.merge_heads(outputs)), weights

    def step(
        self,
        inputs: tf.Tensor,
        sizes: Sequence,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | dict[str, tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes `call` for K queries of each row, on flat tensors and without dropout.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            keys, values, mask: as for `call`; the mask may also be the result of
                `functions.additive_mask` for a mask [B, 1, 1, M].

        Returns:
            The outputs, float tensor [B * K, D], and float32 weights [B, H, K, M].
        """
        query = self.query_projection(inputs) * self._scale
        query = tf.reshape(query, [*sizes, self.num_heads, self.units // self.num_heads])
        query = tf.transpose(query, [0, 2, 1, 3])  # [B, H, K, d]
        if mask is not None and not isinstance(mask, dict):
            mask = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, M]
        outputs, weights = functions.dot_product_attention(query, keys, values, mask)
        outputs = tf.reshape(tf.transpose(outputs, [0, 2, 1, 3]), [-1, self.units])
        return self.output_projection(outputs), weights

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_s2s")
class SelfAttention(Attention):
    """Multi-head attention of a sequence over itself, in parallel or one position at a time.

    `call` processes a whole sequence. `step` processes one position of K hypotheses over a cache,
    with the result of `call` at that position under a causal mask.

    Args:
        units: int, width D, a multiple of `num_heads`.
        num_heads: int, number of heads H.
        dropout: float, share of attention weights dropped in training.
        position: an `AttentionPosition` for H heads of width D / H; None when the inputs already
            encode their positions.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: bool tensor that broadcasts to [B, N, N], True = may be attended to.

    Output:
        float tensor [B, N, D] and float32 weights [B, H, N, N].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; positions: see
    `keras_s2s.attention.positions`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import SelfAttention
    >>> outputs, weights = SelfAttention(units=8, num_heads=2)(tf.ones([1, 5, 8]))
    >>> outputs.shape, weights.shape
    (TensorShape([1, 5, 8]), TensorShape([1, 2, 5, 5]))
    """

    def __init__(
        self, units: int, num_heads: int, dropout: float = 0.0, position: Any = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.units, self.num_heads, self.dropout = units, num_heads, dropout
        self.position = position
        self._scale = self._head_scale(units, num_heads)
        self.input_projection = Linear(3 * units, dtype=self.dtype_policy)
        self.output_projection = Linear(units, dtype=self.dtype_policy)
        self.weight_dropout = Dropout(dropout, dtype="float32")

    def build(self, inputs_shape: Sequence) -> None:
        for layer, width in (
            (self.input_projection, inputs_shape[-1]),
            (self.output_projection, self.units),
        ):
            if not layer.built:
                layer.build((None, width))
        if self.position is not None and not self.position.built:
            self.position.build()

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
        loop_backend: Any = TENSORFLOW,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        query, keys, values = functions.split_heads(
            self.input_projection(inputs), 3, self.num_heads
        )
        if mask is not None:
            mask = tf.expand_dims(mask, 1)  # [B, 1, N, N]
        query = query * self._scale
        if self.position is None:
            outputs, weights = _attend(query, keys, values, mask, self.weight_dropout, training)
        else:
            positions = tf.range(tf.shape(query)[2])
            keys = self.position.rotate(keys, positions)
            outputs, weights = self._attend_with_positions(
                query, keys, values, mask, (positions, positions), training
            )
        return self.output_projection(functions.merge_heads(outputs)), weights

    def _attend_with_positions(self, query, keys, values, mask, positions, training=False):
        """Attention over keys that the position has transformed; `positions` are [Q] and [N]."""
        query = self.position.rotate(query, positions[0])
        scores = tf.matmul(query, keys, transpose_b=True)
        bias = self.position.bias(query, *positions)
        if bias is not None:
            scores = tf.cast(scores, tf.float32) + bias
        weights = functions.masked_softmax(scores, mask)  # [..., H, Q, N]
        dropped = self.weight_dropout(weights, training=training)
        outputs = tf.matmul(tf.cast(dropped, values.dtype), values)
        relative = self.position.values(dropped, *positions)
        if relative is not None:
            outputs += tf.cast(relative, outputs.dtype)
        return outputs, weights

    def initial_cache(
        self, batch: Any, num_hypotheses: Any, max_length: Any = None
    ) -> dict[str, tf.Tensor]:
        """Creates an empty cache.

        Args:
            batch: B, int or scalar tensor.
            num_hypotheses: K, int or scalar tensor.
            max_length: number of positions of a cache of a fixed size, for which `step` needs a
                `mask`; None for a cache that grows by one position a step.

        Returns:
            dict of `keys` and `values` [B, K, H, t, D / H].
        """
        size, length = self.units // self.num_heads, 0 if max_length is None else max_length
        zeros = tf.zeros([batch, num_hypotheses, self.num_heads, length, size], self.compute_dtype)
        return {"keys": zeros, "values": zeros}

    def step(
        self,
        inputs: tf.Tensor,
        sizes: Sequence,
        position: tf.Tensor,
        cache: dict[str, tf.Tensor],
        mask: Any = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes one position of K hypotheses, on flat tensors.

        Args:
            inputs: float tensor [B * K, D].
            sizes: B and K.
            position: int32 scalar, 0 at the first target token.
            cache: from `initial_cache` or the previous step.
            mask: for a cache of a fixed size, the positions filled after this step, as
                `functions.masked_softmax` takes it for scores [B, K, H, 1, t].
            loop_backend: `LoopBackend` that writes into a cache of a fixed size.

        Returns:
            The outputs, float tensor [B * K, D], and the cache with this position in it.
        """
        size = self.units // self.num_heads
        projected = tf.reshape(self.input_projection(inputs), [*sizes, 3, self.num_heads, 1, size])
        query, keys, values = tf.unstack(projected, num=3, axis=2)  # [B, K, H, 1, d]
        positions = tf.reshape(position, [1])
        if self.position is not None:
            keys = self.position.rotate(keys, positions)
        index = None if mask is None else position
        cache = _write(cache, {"keys": keys, "values": values}, index, loop_backend)
        query, memory = query * self._scale, (cache["keys"], cache["values"], mask)
        if self.position is None:
            outputs, _ = functions.dot_product_attention(query, *memory)
        else:
            key_positions = tf.range(tf.shape(cache["keys"])[3])
            outputs, _ = self._attend_with_positions(query, *memory, (positions, key_positions))
        return self.output_projection(tf.reshape(outputs, [-1, self.units])), cache

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "num_heads": self.num_heads, "dropout": self.dropout}
        own["position"] = keras.saving.serialize_keras_object(self.position)
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        position = keras.saving.deserialize_keras_object(config["position"])
        return cls(**{**config, "position": position})


def _attend(query, keys, values, mask, dropout, training):
    """Attention with dropout of the weights; returns the weights before dropout."""
    if not training or not dropout.rate:
        return functions.dot_product_attention(query, keys, values, mask)
    weights = functions.masked_softmax(tf.matmul(query, keys, transpose_b=True), mask)
    dropped = tf.cast(dropout(weights, training=True), values.dtype)
    return tf.matmul(dropped, values), weights


def _write(cache, new, index, loop_backend):
    """Returns a cache with one more position: appended, or written at `index` unless it is None."""
    if index is None:
        return {name: tf.concat([cache[name], new[name]], 3) for name in cache}
    return {name: loop_backend.update_column(cache[name], index, new[name], 3) for name in cache}
