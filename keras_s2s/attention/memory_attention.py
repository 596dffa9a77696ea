"""Base of the attention of recurrent decoders over a memory."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.base import Attention
from keras_s2s.layers.shapes import leading_shape


class MemoryAttention(Attention):
    """Attention of K decoder states of each row over one memory, optionally with a state.

    A sub-class defines `_query`, the projection of a query, and `_scores`; or its own `attend`.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M], from the initial state where the layer
        has one.

    Attributes:
        has_attention: False when there are no weights.
        map_names: names of the A attention maps that `attend` returns.
        stateful: whether `attend` depends on its previous results.
    """

    has_attention, stateful, map_names = True, False, ("attention",)

    def context_width(self, memory_width: int) -> int:
        """Width of the context over a memory of width `memory_width`."""
        return memory_width

    def project(self, values: tf.Tensor) -> tf.Tensor:
        """Keys of a memory: [B, M, D_m] -> [B, M, A]."""
        return values

    def prepare(self, memory: Any) -> dict[str, tf.Tensor]:
        """Tensors that depend on a `Memory` only: dict of leaves [B, ...]."""
        return {"keys": self.project(memory.attention_keys)}

    def initial_state(
        self, memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """State at the first position: dict of leaves [B, K, ...].

        Args:
            memory: dict of `values` [B, M, D_m], `mask` and the result of `prepare`.
            num_hypotheses: K.
        """
        return {}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Attends with one query of each of K hypotheses, on flat tensors.

        Args:
            query: float tensor [B * K, D_q].
            sizes: B and K.
            memory: as for `initial_state`.
            state: leaves [B * K, ...].

        Returns:
            context [B * K, D], float32 weights [B, A, K, M] and the new state.
        """
        query = self._query(query)
        query = tf.reshape(query, [*sizes, query.shape[-1]])
        weights = self._weights(self._scores(query, memory["keys"]), memory["mask"])
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), state

    def call(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        sizes = leading_shape(query, 2)
        if mask is None:
            mask = tf.ones(tf.shape(values)[:2], tf.bool)
        memory = {"keys": keys, "values": values, "mask": mask}
        state = self.initial_state(memory, sizes[1])
        state = {
            name: tf.reshape(leaf, [sizes[0] * sizes[1], leading_shape(leaf, 3)[2]])
            for name, leaf in state.items()
        }
        rows = tf.reshape(query, [-1, query.shape[-1]])
        context, weights, _ = self.attend(rows, sizes, memory, state, training)
        return tf.reshape(context, [*sizes, context.shape[-1]]), weights[:, 0]

    def _query(self, query):
        return query

    def _scores(self, query, keys):
        """[B, K, A], [B, M, A] -> [B, K, M]."""
        raise NotImplementedError

    def _weights(self, scores, mask):
        return functions.masked_softmax(scores, tf.expand_dims(mask, 1))  # [B, K, M]

    def _gather(self, weights, values):
        context = tf.matmul(tf.cast(weights, values.dtype), values)  # [B, K, D_m]
        return tf.reshape(context, [-1, values.shape[-1]])


def zero_weights(memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor) -> tf.Tensor:
    """Zero attention weights over a memory, float32 [B, K, M]."""
    batch, length = leading_shape(memory["mask"], 2)
    return tf.zeros([batch, num_hypotheses, length])


def build_layers(*layers: tuple[keras.layers.Layer, int]) -> None:
    """Builds each (layer, width of its input) that is not built yet."""
    for layer, width in layers:
        if not layer.built:
            layer.build((None, width))
