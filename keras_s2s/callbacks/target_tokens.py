"""Count of target tokens."""

from typing import Any

import keras
import tensorflow as tf

__all__ = ["TargetTokens"]


@keras.saving.register_keras_serializable("keras_s2s")
class TargetTokens(keras.metrics.Metric):
    """Counts the real target tokens since the last reset: the sum of sample_weight [B, T].

    `ProgressBar` measures the speed by it; pass it to `compile(weighted_metrics=...)`.

    Example:

    >>> from keras_s2s.callbacks import TargetTokens
    >>> tokens = TargetTokens()
    >>> tokens.update_state([[4, 5, 0]], None, sample_weight=[[1.0, 1.0, 0.0]])
    >>> float(tokens.result())
    2.0
    """

    def __init__(self, name: str = "tokens", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        weights = tf.ones_like(y_true) if sample_weight is None else sample_weight
        self.total.assign_add(tf.reduce_sum(tf.cast(weights, tf.float32)))

    def result(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.total)
