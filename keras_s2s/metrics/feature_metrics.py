"""Keras metrics over frames, for `compile(weighted_metrics=...)` of models of real vectors."""

import keras
import tensorflow as tf

from keras_s2s.metrics.token_metrics import PositionMean

__all__ = ["MeanAbsoluteError", "RootMeanSquaredError"]


class _Errors(PositionMean):
    """A mean over real frames of some measure of target - mean, itself meant over F numbers."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        means = tf.cast(y_pred, tf.float32)[..., : y_true.shape[-1]]  # a Gaussian's variances go
        away = tf.cast(y_true, tf.float32) - means  # [B, T, F]
        self.add(tf.reduce_mean(self.measure(away), -1), sample_weight)

    def measure(self, away):
        """What counts of a difference [B, T, F]."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("keras_s2s")
class MeanAbsoluteError(_Errors):
    """Mean of |target - mean| over the numbers of real frames.

    `update_state(y_true, y_pred, sample_weight=None)` takes frames [B, T, F], outputs [B, T, F']
    whose first F numbers are the means, and weights [B, T].
    """

    def __init__(self, name="mae", dtype=None):
        super().__init__(name, dtype)

    def measure(self, away):
        return tf.abs(away)


@keras.saving.register_keras_serializable("keras_s2s")
class RootMeanSquaredError(_Errors):
    """Square root of the mean of (target - mean)^2; arguments as for `MeanAbsoluteError`."""

    def __init__(self, name="rmse", dtype=None):
        super().__init__(name, dtype)

    def measure(self, away):
        return tf.square(away)

    def result(self):
        return tf.sqrt(super().result())
