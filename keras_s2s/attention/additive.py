"""Additive attention, and what it may see besides: where it looked before."""

import keras
import tensorflow as tf

from keras_s2s.attention import functions
from keras_s2s.attention.memory_attention import MemoryAttention, build_layers, zero_weights
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.shapes import leading_shape


@keras.saving.register_keras_serializable("keras_s2s")
class AdditiveAttention(MemoryAttention):
    """Additive attention: e_ij = v^T tanh(W q_i + U k_j + b), weights = softmax_j(e_ij).

    `project` computes U k + b once for a memory; every call reuses it. Luong's `concat` score is
    the same function: a matrix over two vectors side by side is a matrix over each.

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
        check_positive_integers(units=units)
        self.units = units
        self.query_projection = Linear(units, use_bias=False, dtype=self.dtype_policy)
        self.key_projection = Linear(units, dtype=self.dtype_policy)
        self.score = Linear(1, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        build_layers(
            (self.query_projection, query_shape[-1]),
            (self.key_projection, values_shape[-1]),
            (self.score, self.units),
        )

    def project(self, values):
        """U k + b of a memory: [B, M, D_m] -> [B, M, A]."""
        return self.key_projection(values)

    def _query(self, query):
        return self.query_projection(query)

    def _scores(self, query, keys):
        return self._score(functions.additive_scores(query, keys))

    def _score(self, hidden):
        """v^T of a hidden layer: [B, K, M, A] -> [B, K, M]."""
        scores = self.score(tf.reshape(hidden, [-1, self.units]))
        return tf.reshape(scores, tf.shape(hidden)[:3])

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class _Looking(AdditiveAttention):
    """Additive attention over features of the weights before: e = v^T tanh(W q + U k + F + b)."""

    stateful, state_name = True, "weights"

    def initial_state(self, memory, num_hypotheses):
        return {self.state_name: zero_weights(memory, num_hypotheses)}

    def attend(self, query, sizes, memory, state, training=False):
        seen = state[self.state_name]  # [B * K, M]
        query = tf.reshape(self._query(query), [*sizes, 1, self.units])
        hidden = query + tf.expand_dims(memory["keys"], 1)  # [B, K, M, A]
        features = tf.reshape(self._features(tf.expand_dims(seen, 2)), tf.shape(hidden))
        weights = self._weights(self._score(tf.tanh(hidden + features)), memory["mask"])
        new = self._remember(seen, tf.reshape(weights, tf.shape(seen)))
        context = self._gather(weights, memory["values"])
        return context, tf.expand_dims(weights, 1), {self.state_name: new}


@keras.saving.register_keras_serializable("keras_s2s")
class CoverageAttention(_Looking):
    """Additive attention that sees how much of each place it has had.

    e_ij = v^T tanh(W q_i + U k_j + w_c c_ij + b), c_ij = the sum of the weights of place j before
    i: the linguistic coverage with a fertility of one, and the coverage vector of summarisers.

    Args:
        units: width A of the hidden layer.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: See et al. 2017, arXiv:1704.04368, equation 11; Tu et al. 2016, arXiv:1601.04811,
    section 3.1.
    """

    state_name = "coverage"

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.feature = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        super().build(query_shape, keys_shape, values_shape)
        build_layers((self.feature, 1))

    def _features(self, seen):
        return self.feature(tf.cast(seen, self.compute_dtype))  # [B * K, M, A]

    def _remember(self, seen, weights):
        return seen + weights


@keras.saving.register_keras_serializable("keras_s2s")
class LocationAttention(_Looking):
    """Location-sensitive attention: additive, over the weights before, convolved.

    f_i = F * alpha_(i-1), e_ij = v^T tanh(W q_i + U k_j + V f_ij + b). Zeros stand for the weights
    before the first position and beyond the ends of the memory.

    Args:
        units: width A of the hidden layer.
        filters: number of filters F.
        kernel_size: places that a filter spans.
        cumulative: convolve the sum of all weights before in place of the last.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Chorowski et al. 2015, arXiv:1506.07503, equations 8 and 9 (10 filters of 201);
    cumulative: Shen et al. 2018, arXiv:1712.05884, section 2.2 (32 filters of 31).
    """

    def __init__(self, units, filters=10, kernel_size=201, cumulative=False, **kwargs):
        super().__init__(units, **kwargs)
        check_positive_integers(filters=filters, kernel_size=kernel_size)
        self.filters, self.kernel_size, self.cumulative = filters, kernel_size, cumulative
        self.convolution = keras.layers.Conv1D(
            filters, kernel_size, padding="same", use_bias=False, dtype="float32"
        )
        self.feature = Linear(units, use_bias=False, dtype=self.dtype_policy)

    def build(self, query_shape, keys_shape=None, values_shape=None):
        super().build(query_shape, keys_shape, values_shape)
        if not self.convolution.built:
            self.convolution.build((None, None, 1))
        build_layers((self.feature, self.filters))

    def _features(self, seen):
        # The reshape is for batches of no rows, of which oneDNN gives the input's shape.
        found = tf.reshape(self.convolution(seen), [*leading_shape(seen, 2), self.filters])
        return self.feature(tf.cast(found, self.compute_dtype))  # [B * K, M, A]

    def _remember(self, seen, weights):
        return seen + weights if self.cumulative else weights

    def get_config(self):
        own = ("filters", "kernel_size", "cumulative")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
