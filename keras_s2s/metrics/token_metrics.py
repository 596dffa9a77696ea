"""Keras metrics over tokens, for `compile(weighted_metrics=...)`."""

import keras
import tensorflow as tf

from keras_s2s.losses import token_log_probs

__all__ = ["Perplexity", "PositionMean", "TokenAccuracy"]


class PositionMean(keras.metrics.Metric):
    """A mean over tokens or frames.

    `keras.metrics.Mean` will not do: it averages over T first, so that a batch counts by its
    share of real tokens and not by their number.
    """

    def __init__(self, name, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def add(self, values, weights):
        """Adds values [B, T], each as often as its weight [B, T] says; None counts each once."""
        weights = tf.ones_like(values) if weights is None else tf.cast(weights, values.dtype)
        # what has no weight may be anything: 0 * inf would be lost for good
        values = tf.where(weights == 0.0, 0.0, values)
        self.total.assign_add(tf.reduce_sum(values * weights))
        self.count.assign_add(tf.reduce_sum(weights))

    def result(self):
        return tf.math.divide_no_nan(self.total.value, self.count.value)


@keras.saving.register_keras_serializable("keras_s2s")
class TokenAccuracy(PositionMean):
    """The share of real tokens that no other token outdoes under the logits.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # No arg-max: the loss needs the largest logit too, and the graph then computes it once.
        picked = tf.gather(y_pred, tf.cast(y_true, tf.int32), batch_dims=2)  # [B, T]
        likeliest = picked >= tf.reduce_max(y_pred, -1)
        self.add(tf.cast(likeliest, tf.float32), sample_weight)


@keras.saving.register_keras_serializable("keras_s2s")
class Perplexity(PositionMean):
    """exp of the mean negative log-probability of the real tokens, without label smoothing.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.
    """

    def __init__(self, name="perplexity", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        logits = tf.cast(y_pred, tf.float32)
        self.add(-token_log_probs(logits, tf.cast(y_true, tf.int32)), sample_weight)

    def result(self):
        return tf.exp(super().result())
