"""Keras metrics over features, for `compile(weighted_metrics=...)`."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.metrics.token_metrics import PositionMean

__all__ = ["MeanAbsoluteError", "RootMeanSquaredError"]


class _FeatureError(PositionMean):
    """Mean over real frames of a measure of target - mean, averaged over the F numbers."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any = None) -> None:
        means = tf.cast(y_pred, tf.float32)[..., : y_true.shape[-1]]  # without the variances
        error = tf.cast(y_true, tf.float32) - means  # [B, T, F]
        self.add(tf.reduce_mean(self.measure(error), -1), sample_weight)

    def measure(self, error: tf.Tensor) -> tf.Tensor:
        """Measure of an error [B, T, F], elementwise."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("keras_s2s")
class MeanAbsoluteError(_FeatureError):
    """Mean of |target - mean| over the numbers of real frames.

    `update_state(y_true, y_pred, sample_weight=None)` takes frames [B, T, F], outputs [B, T, F']
    whose first F numbers are the means, and weights [B, T].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.metrics import MeanAbsoluteError
    >>> metric = MeanAbsoluteError()
    >>> metric.update_state(tf.zeros([1, 2, 1]), tf.constant([[[1.0], [3.0]]]))
    >>> float(metric.result())
    2.0
    """

    def __init__(self, name: str = "mae", dtype: Any = None):
        super().__init__(name, dtype)

    def measure(self, error: tf.Tensor) -> tf.Tensor:
        return tf.abs(error)


@keras.saving.register_keras_serializable("keras_s2s")
class RootMeanSquaredError(_FeatureError):
    """Square root of the mean of (target - mean)^2; arguments as for `MeanAbsoluteError`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.metrics import RootMeanSquaredError
    >>> metric = RootMeanSquaredError()
    >>> metric.update_state(tf.zeros([1, 2, 1]), tf.constant([[[3.0], [3.0]]]))
    >>> float(metric.result())
    3.0
    """

    def __init__(self, name: str = "rmse", dtype: Any = None):
        super().__init__(name, dtype)

    def measure(self, error: tf.Tensor) -> tf.Tensor:
        return tf.square(error)

    def result(self) -> tf.Tensor:
        return tf.sqrt(super().result())
