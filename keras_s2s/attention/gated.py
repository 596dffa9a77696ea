"""Gated attention and its linear form."""

import keras
import tensorflow as tf

from keras_s2s.attention.memory_attention import MemoryAttention, build_layers
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


class _Halves(MemoryAttention):
    """Attention over places that may hold a hidden state h_j and, behind it, an input x_j."""

    def __init__(self, source_units=None, **kwargs):
        super().__init__(**kwargs)
        if source_units is not None:
            check_positive_integers(source_units=source_units)
        self.source_units = source_units

    def context_width(self, memory_width):
        if self.source_units is not None and self.source_units >= memory_width:
            raise ValueError(
                f"source_units: expected fewer than the memory's width {memory_width},"
                f" came {self.source_units}"
            )
        return memory_width - (self.source_units or 0)

    def _hidden(self, values):
        return values[..., : self.context_width(values.shape[-1])]

    def _source(self, values):
        return values if self.source_units is None else values[..., -self.source_units :]

    def get_config(self):
        return {**super().get_config(), "source_units": self.source_units}


@keras.saving.register_keras_serializable("keras_s2s")
class GatedAttention(_Halves):
    """Gated attention: weights of places from a gate between 0 and 1.

    z_j = V_a tanh(W_a h_bar + U_a x_j), alpha_j = softmax_j(sigmoid(w_za . z_j + u_za . s + b)),
    with s the query (the article's h_(t-1)), x_j the input at place j, and h_bar the sum of the
    h_j by the weights of the position before, zeros at the first; the context is the sum of
    alpha_j h_j. The sigmoid keeps every weight within a factor of e of every other.

    Args:
        units: width A of z and of the layer inside.
        source_units: width of the x_j at the end of every place of the memory, behind the h_j;
            None: a place is both.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, A], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] without the x_j and float32 weights [B, Q, M].

    Raises:
        ValueError: for sizes that are no positive integers, or `source_units` without room for h.

    Reference: an introduction to Seq2Seq models with attention, its gated form.
    """

    stateful = True

    def __init__(self, units, source_units=None, **kwargs):
        super().__init__(source_units, **kwargs)
        check_positive_integers(units=units)
        self.units = units
        policy = self.dtype_policy
        self.context_projection = Linear(units, use_bias=False, dtype=policy)
        self.source_projection = Linear(units, use_bias=False, dtype=policy)
        self.mixing = Linear(units, use_bias=False, dtype=policy)
        self.query_gate = Linear(1, dtype=policy)
        self.gate = Linear(1, use_bias=False, dtype=policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        memory = values_shape[-1]
        build_layers(
            (self.context_projection, self.context_width(memory)),
            (self.source_projection, self.source_units or memory),
            (self.mixing, self.units),
            (self.query_gate, query_shape[-1]),
            (self.gate, self.units),
        )

    def project(self, values):
        """U_a x of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.source_projection(self._source(values))

    def initial_state(self, memory, num_hypotheses):
        values = memory["values"]
        shape = [tf.shape(values)[0], num_hypotheses, self.context_width(values.shape[-1])]
        return {"context": tf.zeros(shape, values.dtype)}

    def attend(self, query, sizes, memory, state, training=False):
        past = tf.reshape(self.context_projection(state["context"]), [*sizes, 1, self.units])
        hidden = tf.tanh(past + tf.expand_dims(memory["keys"], 1))  # [B, K, M, A]
        mixed = self.mixing(tf.reshape(hidden, [-1, self.units]))
        scores = tf.reshape(self.gate(mixed), tf.shape(hidden)[:3])  # [B, K, M]
        scores += tf.reshape(self.query_gate(query), [*sizes, 1])
        weights = self._weights(tf.sigmoid(tf.cast(scores, tf.float32)), memory["mask"])
        seen = self._gather(weights, self._hidden(memory["values"]))
        return seen, tf.expand_dims(weights, 1), {"context": seen}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("keras_s2s")
class LinearAttention(_Halves):
    """Attention with linear scores: e_j = W_eh h_j + U_eh s + b_eh, weights = softmax_j(e_j).

    The query's share is the same at every place, so that the softmax takes it away again: the
    weights depend on the h_j alone, and are those of every position.

    Args:
        source_units: width of the x_j at the end of every place of the memory, behind the h_j;
            None: there are none.

    Call arguments:
        query: float tensor [B, Q, D_q].
        keys: float tensor [B, M, 1], from `project`.
        values: float tensor [B, M, D_m].
        mask: bool tensor [B, M], True = a real token.

    Output:
        context [B, Q, D_m] without the x_j and float32 weights [B, Q, M].

    Raises:
        ValueError: for `source_units` that is no positive integer or leaves no room for h.

    Reference: an introduction to Seq2Seq models with attention, its linear form.
    """

    def __init__(self, source_units=None, **kwargs):
        super().__init__(source_units, **kwargs)
        self.query_projection = Linear(1, dtype=self.dtype_policy)
        self.key_projection = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        build_layers(
            (self.query_projection, query_shape[-1]),
            (self.key_projection, self.context_width(values_shape[-1])),
        )

    def project(self, values):
        """W_eh h of a memory: [B, M, D_m] -> [B, M, 1]."""
        return self.key_projection(self._hidden(values))

    def _query(self, query):
        return self.query_projection(query)

    def _scores(self, query, keys):
        return query + tf.transpose(keys, [0, 2, 1])  # [B, K, M]

    def _gather(self, weights, values):
        return super()._gather(weights, self._hidden(values))
