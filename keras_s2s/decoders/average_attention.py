"""Average attention, a replacement of self-attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.decoders.target_history import TargetHistory
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.feed_forward import FeedForward
from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend
from keras_s2s.layers.transformer import TransformerLayer

__all__ = ["AverageAttention", "AverageLayer"]


@keras.saving.register_keras_serializable("keras_s2s")
class AverageAttention(TargetHistory):
    """The mean of all inputs up to a position, through a feed-forward layer and a gate.

    g_j = FFN(1/j sum_(k <= j) y_k), [i_j; f_j] = sigmoid(W [y_j; g_j] + b), and the output is
    i_j * y_j + f_j * g_j. `call` takes one cumulative sum, `step` adds to it.

    Args:
        units: width D.
        hidden_units: width of the hidden layer of the feed-forward layer.
        dropout: rate of dropout inside the feed-forward layer.

    Call arguments:
        inputs: float tensor [B, N, D].
        mask: ignored; a position always sees itself and the previous ones.

    Returns:
        float tensor [B, N, D], and None in place of attention maps.

    Reference: Zhang et al. 2018, arXiv:1805.00631, section 3.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.decoders.average_attention import AverageAttention
    >>> outputs, _ = AverageAttention(4, hidden_units=8)(tf.ones([2, 3, 4]))
    >>> outputs.shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, units: int, hidden_units: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.hidden_units, self.dropout, policy = hidden_units, dropout, self.dtype_policy
        self.feed_forward = FeedForward(units, hidden_units, dropout=dropout, dtype=policy)
        self.gate = Linear(2 * units, dtype=policy)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        for layer, width in ((self.feed_forward, self.units), (self.gate, 2 * self.units)):
            if not layer.built:
                layer.build((None, width))

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, None]:
        counts = tf.range(1, tf.shape(inputs)[1] + 1)
        sums = tf.cumsum(tf.cast(inputs, tf.float32), 1)
        mean = sums / tf.cast(tf.reshape(counts, [1, -1, 1]), tf.float32)
        return self._gate(inputs, mean, training), None

    def step(
        self,
        inputs: tf.Tensor,
        sizes: Sequence[Any],
        position: tf.Tensor,
        cache: dict[str, tf.Tensor],
        mask: tf.Tensor | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One position of K hypotheses: [B * K, D] -> [B * K, D], and the new state."""
        sums = cache["past"] + tf.reshape(tf.cast(inputs, tf.float32), tf.shape(cache["past"]))
        mean = sums / tf.cast(position + 1, tf.float32)
        return self._gate(inputs, tf.reshape(mean, [-1, self.units])), {"past": sums}

    def _gate(self, inputs, mean, training=False):
        history = self.feed_forward(tf.cast(mean, self.compute_dtype), training=training)
        gates = tf.sigmoid(self.gate(tf.concat([inputs, history], -1)))
        input_gate, forget_gate = tf.split(gates, 2, -1)
        return input_gate * inputs + forget_gate * history

    def get_config(self) -> dict[str, Any]:
        config = {"hidden_units": self.hidden_units, "dropout": self.dropout}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("keras_s2s")
class AverageLayer(TransformerLayer):
    """A `TransformerLayer`, [B, N, D] -> [B, N, D], with average attention for self-attention."""

    def _make_self_attention(self, units, num_heads, dropout, *args, **kwargs):
        return AverageAttention(units, self.hidden_units, dropout, **kwargs)
