"""Base of the additive attention that reads the previous attention weights."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.memory_attention import zero_weights


class HistoryAttention(AdditiveAttention):
    """Additive attention over features F of the previous weights: e = v^T tanh(W q + U k + F + b).

    A sub-class defines `_features`, F of a history [B * K, M, 1], and `_update_history`.
    """

    stateful, state_name = True, "weights"

    def initial_state(
        self, memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {self.state_name: zero_weights(memory, num_hypotheses)}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        history = state[self.state_name]  # [B * K, M]
        query = tf.reshape(self._query(query), [*sizes, 1, self.units])
        hidden = query + tf.expand_dims(memory["keys"], 1)  # [B, K, M, A]
        features = tf.reshape(self._features(tf.expand_dims(history, 2)), tf.shape(hidden))
        weights = self._weights(self._score(tf.tanh(hidden + features)), memory["mask"])
        history = self._update_history(history, tf.reshape(weights, tf.shape(history)))
        context = self._gather(weights, memory["values"])
        return context, tf.expand_dims(weights, 1), {self.state_name: history}

    def _features(self, history):
        """Features of the history: [B * K, M, 1] -> [B * K, M, A]."""
        raise NotImplementedError

    def _update_history(self, history, weights):
        """History of the next position from this one's weights, all [B * K, M]."""
        raise NotImplementedError
