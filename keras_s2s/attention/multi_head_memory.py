"""Multi-head attention of recurrent decoders."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import MemoryAttention
from keras_s2s.attention.multi_head import CrossAttention


@keras.saving.register_keras_serializable("keras_s2s")
class MultiHeadAttention(MemoryAttention):
    """Multi-head attention for recurrent decoders: `CrossAttention` by steps.

    Args:
        units: width D of the context, a multiple of `num_heads`.
        num_heads: number of heads H; each has an attention map.

    Call arguments:
        query: float tensor [B, Q, D_q].
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D] and float32 weights [B, H, Q, M].

    Raises:
        ValueError: when `num_heads` does not divide `units`.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; over recurrent states: Chen et
    al. 2018, arXiv:1804.09849, section 4.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import MultiHeadAttention
    >>> layer, query, memory = MultiHeadAttention(8, 2), tf.ones([2, 1, 4]), tf.ones([2, 5, 6])
    >>> layer.build(query.shape, None, memory.shape)
    >>> context, weights = layer(query, memory)
    >>> context.shape, weights.shape
    (TensorShape([2, 1, 8]), TensorShape([2, 2, 1, 5]))
    """

    def __init__(self, units: int, num_heads: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.num_heads = units, num_heads
        self.map_names = tuple(f"head {i + 1}" for i in range(num_heads))
        self.cross = CrossAttention(units, num_heads, dtype=self.dtype_policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        if not self.cross.built:
            self.cross.build(query_shape, values_shape)

    def context_width(self, memory_width: int) -> int:
        return self.units

    def prepare(self, memory: Any) -> dict[str, tf.Tensor]:
        keys, values = self.cross.project(memory.values, memory.keys)
        return {"keys": keys, "head_values": values}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        context, weights = self.cross.step(
            query, sizes, memory["keys"], memory["head_values"], memory["mask"]
        )
        return context, weights, state

    def call(
        self,
        query: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.cross(query, *self.cross.project(values), mask=mask, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "num_heads": self.num_heads}
