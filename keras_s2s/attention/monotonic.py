"""Monotonic attention."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.memory_attention import zero_weights
from keras_s2s.layers.shapes import leading_shape

EPSILON = 1e-10


@keras.saving.register_keras_serializable("keras_s2s")
class MonotonicAttention(AdditiveAttention):
    """Monotonic attention: each step moves on from the memory position of the previous step.

    e_ij = g v^T / |v| tanh(W q_i + U k_j + b) + r, p_ij = sigmoid(e_ij) the probability of stopping
    at position j. In training the weights are the expectation over all alignments,
    alpha_ij = p_ij sum_(l <= j) alpha_(i-1)l prod_(l <= m < j) (1 - p_im), with noise on e that
    drives p to 0 or 1. Otherwise they are hard: one at the first position with p of at least 1/2
    that is not before the previous step's. An alignment that passes the end of the memory has zero
    weights from then on, so weights sum to at most one.

    Args:
        units: width A of the hidden layer.
        noise: standard deviation of the noise in training.
        offset: initial value of r; with a value far below zero initial alignments move far.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].
        training: soft when true.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: Raffel et al. 2017, arXiv:1704.00784, equations 9 (soft) and 16 (energy),
    sections 2.2 (hard) and 2.5 (noise).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import MonotonicAttention
    >>> layer, query, memory = MonotonicAttention(6), tf.ones([2, 1, 4]), tf.ones([2, 5, 8])
    >>> layer.build(query.shape, None, memory.shape)
    >>> layer(query, layer.project(memory), memory)[1].shape
    TensorShape([2, 1, 5])
    """

    stateful = True

    def __init__(self, units: int, noise: float = 1.0, offset: float = -1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.noise, self.offset = noise, offset
        self.seed_generator = keras.random.SeedGenerator()

    def build(
        self,
        query_shape: Sequence[int | None],
        keys_shape: Sequence[int | None] | None = None,
        values_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().build(query_shape, keys_shape, values_shape)
        constant = keras.initializers.Constant
        self.gain = self.add_weight((), constant(self.units**-0.5), "float32", name="gain")
        self.bias = self.add_weight((), constant(self.offset), "float32", name="offset")

    def initial_state(
        self, memory: dict[str, tf.Tensor], num_hypotheses: int | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        zeros = zero_weights(memory, num_hypotheses)
        is_first = tf.equal(tf.range(leading_shape(zeros, 3)[2]), 0)  # [M]
        return {"weights": zeros + tf.cast(is_first, tf.float32)}

    def attend(
        self,
        query: tf.Tensor,
        sizes: Sequence[int | tf.Tensor],
        memory: dict[str, tf.Tensor],
        state: dict[str, tf.Tensor],
        training: bool | None = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        query = tf.reshape(self._query(query), [*sizes, self.units])
        energy = tf.cast(self._scores(query, memory["keys"]), tf.float32)  # [B, K, M]
        vector = tf.cast(tf.convert_to_tensor(self.score.kernel), tf.float32)
        gain = tf.cast(tf.convert_to_tensor(self.gain), tf.float32)
        energy = energy * gain * tf.math.rsqrt(tf.reduce_sum(tf.square(vector)) + EPSILON)
        energy += tf.cast(tf.convert_to_tensor(self.bias), tf.float32)
        previous = tf.reshape(state["weights"], tf.shape(energy))
        weigh = self._soft_weights if training else _hard_weights
        weights = weigh(energy, previous, tf.expand_dims(memory["mask"], 1))
        state = {"weights": tf.reshape(weights, tf.shape(state["weights"]))}
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), state

    def _soft_weights(self, energy, previous, mask):
        if self.noise:
            noise = keras.random.normal(tf.shape(energy), dtype="float32", seed=self.seed_generator)
            energy += self.noise * noise
        stop = tf.where(mask, tf.sigmoid(energy), 0.0)
        log_continue = tf.math.log(tf.clip_by_value(1.0 - stop, EPSILON, 1.0))
        passed = tf.exp(tf.cumsum(log_continue, -1, exclusive=True))  # [B, K, M]
        return stop * passed * tf.cumsum(previous / tf.maximum(passed, EPSILON), -1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "noise": self.noise, "offset": self.offset}


def _hard_weights(energy, previous, mask):
    """One at the first position that stops, from the previous step's position on: [B, K, M]."""
    is_reached = tf.cumsum(previous, -1) > 0.5
    stops = tf.cast((energy >= 0) & is_reached & mask, tf.float32)
    return stops * tf.cast(tf.cumsum(stops, -1, exclusive=True) < 0.5, tf.float32)
