"""Monotonic attention."""

import keras
import tensorflow as tf

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.memory_attention import zero_weights
from keras_s2s.layers.shapes import leading_shape

SMALLEST = 1e-10


@keras.saving.register_keras_serializable("keras_s2s")
class MonotonicAttention(AdditiveAttention):
    """Monotonic attention: each position goes on from where the one before stood.

    e_ij = g v^T / |v| tanh(W q_i + U k_j + b) + r, p_ij = sigmoid(e_ij) the chance to stop at
    place j. In training the weights are the expectation over all walks,
    alpha_ij = p_ij sum_(l <= j) alpha_(i-1)l prod_(l <= m < j) (1 - p_im), with noise on e so that
    p learns to be 0 or 1. Otherwise they are hard: one at the first place with p of 1/2 or more
    that is not before the last one's. Who walks past the end sees zeros from then on; weights
    therefore sum to at most one.

    Args:
        units: width A of the hidden layer.
        noise: standard deviation of the noise in training.
        offset: value that r starts with; far below zero walks start by going far.

    Call arguments:
        query, keys, values, mask: as for `AdditiveAttention`, query [B, Q, D_q].
        training: soft when true.

    Output:
        context [B, Q, D_m] and float32 weights [B, Q, M].

    Reference: Raffel et al. 2017, arXiv:1704.00784, equations 9 (soft) and 16 (energy),
    sections 2.2 (hard) and 2.5 (noise).
    """

    stateful = True

    def __init__(self, units, noise=1.0, offset=-1.0, **kwargs):
        super().__init__(units, **kwargs)
        self.noise, self.offset = noise, offset
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, query_shape, keys_shape=None, values_shape=None):
        super().build(query_shape, keys_shape, values_shape)
        start = keras.initializers.Constant
        self.gain = self.add_weight((), start(self.units**-0.5), "float32", name="gain")
        self.bias = self.add_weight((), start(self.offset), "float32", name="offset")

    def initial_state(self, memory, num_hypotheses):
        zeros = zero_weights(memory, num_hypotheses)
        first = tf.equal(tf.range(leading_shape(zeros, 3)[2]), 0)  # [M]
        return {"weights": zeros + tf.cast(first, tf.float32)}

    def attend(self, query, sizes, memory, state, training=False):
        query = tf.reshape(self._query(query), [*sizes, self.units])
        energy = tf.cast(self._scores(query, memory["keys"]), tf.float32)  # [B, K, M]
        vector = tf.cast(tf.convert_to_tensor(self.score.kernel), tf.float32)
        gain = tf.cast(tf.convert_to_tensor(self.gain), tf.float32)
        energy = energy * gain * tf.math.rsqrt(tf.reduce_sum(tf.square(vector)) + SMALLEST)
        energy += tf.cast(tf.convert_to_tensor(self.bias), tf.float32)
        before = tf.reshape(state["weights"], tf.shape(energy))
        weigh = self._soft if training else _hard
        weights = weigh(energy, before, tf.expand_dims(memory["mask"], 1))
        new = {"weights": tf.reshape(weights, tf.shape(state["weights"]))}
        return self._gather(weights, memory["values"]), tf.expand_dims(weights, 1), new

    def _soft(self, energy, before, mask):
        if self.noise:
            drawn = keras.random.normal(tf.shape(energy), dtype="float32", seed=self.seed_generator)
            energy += self.noise * drawn
        stop = tf.where(mask, tf.sigmoid(energy), 0.0)
        going = tf.math.log(tf.clip_by_value(1.0 - stop, SMALLEST, 1.0))
        passed = tf.exp(tf.cumsum(going, -1, exclusive=True))  # [B, K, M]
        return stop * passed * tf.cumsum(before / tf.maximum(passed, SMALLEST), -1)

    def get_config(self):
        return {**super().get_config(), "noise": self.noise, "offset": self.offset}


def _hard(energy, before, mask):
    """One at the first place that stops, among those not before the last: [B, K, M]."""
    reached = tf.cumsum(before, -1) > 0.5
    stops = tf.cast((energy >= 0) & reached & mask, tf.float32)
    return stops * tf.cast(tf.cumsum(stops, -1, exclusive=True) < 0.5, tf.float32)
