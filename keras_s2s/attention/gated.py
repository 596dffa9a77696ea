"""Gated attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import build_layers
from keras_s2s.attention.split_memory import SplitMemoryAttention
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class GatedAttention(SplitMemoryAttention):
    """Gated attention: weights of positions from a gate between 0 and 1.

    z_j = V_a tanh(W_a h_bar + U_a x_j), alpha_j = softmax_j(sigmoid(w_za . z_j + u_za . s + b)),
    with s the query (the article's h_(t-1)), x_j the input at position j, and h_bar the previous
    context, zeros at the first step; the context is the sum of alpha_j h_j. The sigmoid keeps every
    weight within a factor of e of every other.

    Args:
        units: width A of z and of the inner layer.
        source_units: width of the x_j at the end of every memory vector, after the h_j; None: the
            memory vectors are both.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] without the x_j and float32 weights [B, Q, M].

    Raises:
        ValueError: for sizes that are not positive integers, or a memory that is not wider than
            `source_units`.

    Reference: an introduction to Seq2Seq models with attention, its gated form.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import GatedAttention
    >>> layer, query, memory = GatedAttention(6), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    stateful = True

    def __init__(self, units: int, source_units: int | None = None, **kwargs: Any):
        super().__init__(source_units, **kwargs)
        check_positive_integers(units=units)
        self.units = units
        policy = self.dtype_policy
        self.context_projection = Linear(units, use_bias=False, dtype=policy)
        self.source_projection = Linear(units, use_bias=False, dtype=policy)
        self.mixing = Linear(units, use_bias=False, dtype=policy)
        self.query_gate = Linear(1, dtype=policy)
        self.gate = Linear(1, use_bias=False, dtype=policy)

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        memory_width = values_shape[-1]
        build_layers(
            (self.context_projection, self.context_width(memory_width)),
            (self.source_projection, self.source_units or memory_width),
            (self.mixing, self.units),
            (self.query_gate, query_shape[-1]),
            (self.gate, self.units),
        )

    def project(self, values: tf.Tensor) -> tf.Tensor:
        """U_a x of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.source_projection(self._source(values))

    def initial_state(
        self, memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        values = memory["values"]
        shape = [tf.shape(values)[0], num_hypotheses, self.context_width(values.shape[-1])]
        return {"context": tf.zeros(shape, values.dtype)}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        previous = tf.reshape(self.context_projection(state["context"]), [*sizes, 1, self.units])
        hidden = tf.tanh(previous + tf.expand_dims(memory["keys"], 1))  # [B, K, M, A]
        mixed = self.mixing(tf.reshape(hidden, [-1, self.units]))
        scores = tf.reshape(self.gate(mixed), tf.shape(hidden)[:3])  # [B, K, M]
        scores += tf.reshape(self.query_gate(query), [*sizes, 1])
        weights = self._weights(tf.sigmoid(tf.cast(scores, tf.float32)), memory["mask"])
        context = self._gather(weights, self._hidden(memory["values"]))
        return context, tf.expand_dims(weights, 1), {"context": context}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
