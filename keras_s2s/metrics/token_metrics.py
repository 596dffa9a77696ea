"""Keras metrics over tokens, for `compile(weighted_metrics=...)`."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.losses import token_log_probs

__all__ = ["Perplexity", "PositionMean", "TokenAccuracy"]


class PositionMean(keras.metrics.Metric):
    """Mean over tokens or frames [B, T].

    `keras.metrics.Mean` averages over T first, so a batch would count by its share of real tokens
    and not by their number.
    """

    def __init__(self, name: str, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def add(self, values: tf.Tensor, weights: tf.Tensor | None) -> None:
        """Adds values [B, T] with weights [B, T]; None weighs each value 1."""
        weights = tf.ones_like(values) if weights is None else tf.cast(weights, values.dtype)
        # A value of weight 0 may be infinite, and 0 * inf is NaN.
        values = tf.where(weights == 0.0, 0.0, values)
        self.total.assign_add(tf.reduce_sum(values * weights))
        self.count.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        return tf.math.divide_no_nan(self.total.value, self.count.value)


@keras.saving.register_keras_serializable("keras_s2s")
class TokenAccuracy(PositionMean):
    """Fraction of real tokens that have the highest logit.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.metrics import TokenAccuracy
    >>> metric = TokenAccuracy()
    >>> metric.update_state(tf.constant([[1, 0]]), tf.constant([[[0.0, 1.0], [0.0, 1.0]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any = None) -> None:
        # The maximum instead of arg-max: the loss needs it too, so the graph computes it once.
        label_logits = tf.gather(y_pred, tf.cast(y_true, tf.int32), batch_dims=2)  # [B, T]
        is_highest = label_logits >= tf.reduce_max(y_pred, -1)
        self.add(tf.cast(is_highest, tf.float32), sample_weight)


@keras.saving.register_keras_serializable("keras_s2s")
class Perplexity(PositionMean):
    """Exponential of the mean negative log-probability of the real tokens, without label smoothing.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.metrics import Perplexity
    >>> metric = Perplexity()
    >>> metric.update_state(tf.constant([[1, 0]]), tf.zeros([1, 2, 4]))
    >>> round(float(metric.result()), 4)
    4.0
    """

    def __init__(self, name: str = "perplexity", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any = None) -> None:
        logits = tf.cast(y_pred, tf.float32)
        self.add(-token_log_probs(logits, tf.cast(y_true, tf.int32)), sample_weight)

    def result(self) -> tf.Tensor:
        return tf.exp(super().result())
