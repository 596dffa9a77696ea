"""The encoder's summary in place of attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import MemoryAttention, zero_weights


@keras.saving.register_keras_serializable("keras_s2s")
class NoAttention(MemoryAttention):
    """The source as one vector: the context of every position is the encoder's summary.

    Call arguments:
        query: float tensor [B, Q, D_q].
        values: float tensor [B, M, D_m]; the mean over real positions is the summary.
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and zeros [B, Q, M].

    Reference: Cho et al. 2014, arXiv:1406.1078, section 2.2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import NoAttention
    >>> layer, query, memory = NoAttention(), tf.ones([1, 1, 4]), tf.constant([[[1.0], [3.0]]])
    >>> layer.build(query.shape, None, memory.shape)
    >>> context, _ = layer(query, memory)
    >>> context.numpy().tolist()
    [[[2.0]]]
    """

    has_attention, map_names = False, ()

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        """The layer has no weights."""

    def prepare(self, memory: Any) -> dict[str, tf.Tensor]:
        return {"summary": memory.summary}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        context = tf.repeat(memory["summary"], sizes[1], 0)  # [B * K, D_m]
        return context, tf.expand_dims(zero_weights(memory, sizes[1]), 1), state

    def call(
        self,
        query: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        mask = tf.ones(tf.shape(values)[:2], tf.bool) if mask is None else mask
        is_real = tf.cast(tf.expand_dims(mask, 2), values.dtype)
        mean = tf.reduce_sum(values * is_real, 1) / tf.maximum(tf.reduce_sum(is_real, 1), 1)
        length = tf.shape(query)[1]
        context = tf.repeat(tf.expand_dims(mean, 1), length, 1)
        return context, zero_weights({"mask": mask}, length)
