"""Learning rate schedules for any Keras optimizer.

Keras passes the number of finished updates, so the step of the first update is 0. Below
n = step + 1 is the number of the current update, and w is `warmup`. Every schedule takes a scalar
integer (or float) step and returns a float32 scalar.
"""

import math
from typing import Any

import keras
import tensorflow as tf

__all__ = ["Constant", "Cosine", "Exponential", "InverseSqrt", "Noam", "get"]


def warm_up(update: tf.Tensor, warmup: int) -> tf.Tensor:
    """Linear warm-up factor min(1, update / warmup); 1 without warm-up.

    Args:
        update: float32 scalar, the number of the current update, from 1.
        warmup: the number of updates until the factor is 1.
    """
    return tf.minimum(1.0, update / float(max(warmup, 1)))


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate times `factor(update)`."""

    def __init__(self, learning_rate: float, warmup: int):
        if not learning_rate > 0:
            raise ValueError(f"learning_rate: expected a number above 0, got {learning_rate!r}")
        if warmup < 0:
            raise ValueError(f"warmup: expected an integer of at least 0, got {warmup!r}")
        self.learning_rate = float(learning_rate)
        self.warmup = int(warmup)

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        update = tf.cast(step, tf.float32) + 1.0
        return self.learning_rate * self.factor(update)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        """Factor of the learning rate at an update, from 1; float32 scalars."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "warmup": self.warmup}


@keras.saving.register_keras_serializable("keras_s2s")
class Constant(_Schedule):
    """learning_rate * min(1, n / w): constant after a linear warm-up.

    Args:
        learning_rate: the highest rate.
        warmup: updates until it is reached; 0 starts with it.

    Raises:
        ValueError: when learning_rate is not above 0 or warmup is negative.

    Example:

    >>> from keras_s2s.schedules import Constant
    >>> round(float(Constant(0.5, warmup=10)(4)), 6)
    0.25
    """

    def __init__(self, learning_rate: float, warmup: int = 0):
        super().__init__(learning_rate, warmup)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        return warm_up(update, self.warmup)


@keras.saving.register_keras_serializable("keras_s2s")
class InverseSqrt(_Schedule):
    """learning_rate * min(n / w, sqrt(w / n)): linear warm-up, then the inverse square root.

    The shape of Vaswani et al. 2017, equation 3, with the peak as a number instead of derived from
    the width of the model. With w = 0 it is learning_rate / sqrt(n).

    Args:
        learning_rate: the highest rate, reached at update w.
        warmup: updates until the highest rate.

    Raises:
        ValueError: when learning_rate is not above 0 or warmup is negative.

    Example:

    >>> from keras_s2s.schedules import InverseSqrt
    >>> round(float(InverseSqrt(0.5, warmup=100)(399)), 6)
    0.25
    """

    def __init__(self, learning_rate: float, warmup: int = 4000):
        super().__init__(learning_rate, warmup)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        warmup = float(max(self.warmup, 1))
        return tf.minimum(update / warmup, tf.math.rsqrt(update / warmup))


@keras.saving.register_keras_serializable("keras_s2s")
class Noam(_Schedule):
    """learning_rate * width^-0.5 * min(n^-0.5, n * w^-1.5).

    Vaswani et al. 2017, "Attention is all you need", equation 3; there learning_rate is 1.

    Args:
        learning_rate: the factor before the formula; the highest rate is
            learning_rate / sqrt(width * w).
        width: the model's width D.
        warmup: updates until the highest rate, at least 1.

    Raises:
        ValueError: when learning_rate is not above 0, or width or warmup is less than 1.

    Example:

    >>> from keras_s2s.schedules import Noam
    >>> round(float(Noam(width=64, warmup=100)(99)), 6)
    0.0125
    """

    def __init__(self, learning_rate: float = 1.0, width: int = 512, warmup: int = 4000):
        super().__init__(learning_rate, warmup)
        for name, value in (("width", width), ("warmup", warmup)):
            if value < 1:
                raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
        self.width = int(width)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        warm_up_factor = update * self.warmup**-1.5
        return self.width**-0.5 * tf.minimum(tf.math.rsqrt(update), warm_up_factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable("keras_s2s")
class Cosine(_Schedule):
    """learning_rate * (1 + cos(pi * p)) / 2 with p = (n - w) / (updates - w), after warm-up.

    Loshchilov and Hutter 2017, "SGDR", equation 5, with one period and the lowest rate 0. Beyond
    `updates` the rate stays 0.

    Args:
        learning_rate: the highest rate, reached at update w.
        updates: the update at which the rate is 0.
        warmup: updates of linear warm-up.

    Raises:
        ValueError: when learning_rate is not above 0, or warmup is negative or not below updates.

    Example:

    >>> from keras_s2s.schedules import Cosine
    >>> round(float(Cosine(0.5, updates=100)(49)), 6)
    0.25
    """

    def __init__(self, learning_rate: float, updates: int, warmup: int = 0):
        super().__init__(learning_rate, warmup)
        if updates <= warmup:
            raise ValueError(f"updates: expected more than warmup ({warmup}), got {updates!r}")
        self.updates = int(updates)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        progress = (update - self.warmup) / (self.updates - self.warmup)
        decay = 0.5 * (1.0 + tf.cos(math.pi * tf.clip_by_value(progress, 0.0, 1.0)))
        return tf.minimum(warm_up(update, self.warmup), decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "updates": self.updates}


@keras.saving.register_keras_serializable("keras_s2s")
class Exponential(_Schedule):
    """learning_rate * rate^(max(0, n - start) / every), after a linear warm-up.

    The decay of recurrent models: Luong, Brevdo and Zhao 2017 (the TensorFlow NMT tutorial)
    train the first half at the full rate and then halve it five times, which is
    `start = updates / 2`, `every = updates / 10`. Here the decay is continuous.

    Args:
        learning_rate: the highest rate.
        start: the update at which the decay begins.
        every: updates in which the learning rate shrinks by `rate`.
        rate: the factor of one such period, above 0 and at most 1.
        warmup: updates of linear warm-up.

    Raises:
        ValueError: when an argument is out of its range.

    Example:

    >>> from keras_s2s.schedules import Exponential
    >>> round(float(Exponential(0.5, start=100, every=50)(149)), 6)
    0.25
    """

    def __init__(
        self, learning_rate: float, start: int, every: int, rate: float = 0.5, warmup: int = 0
    ):
        super().__init__(learning_rate, warmup)
        if every < 1:
            raise ValueError(f"every: expected an integer of at least 1, got {every!r}")
        if not 0 < rate <= 1:
            raise ValueError(f"rate: expected a number above 0, at most 1, got {rate!r}")
        self.start, self.every, self.rate = int(start), int(every), float(rate)

    def factor(self, update: tf.Tensor) -> tf.Tensor:
        periods = tf.maximum(0.0, update - self.start) / self.every
        return warm_up(update, self.warmup) * tf.pow(self.rate, periods)

    def get_config(self) -> dict[str, Any]:
        own = {"start": self.start, "every": self.every, "rate": self.rate}
        return {**super().get_config(), **own}


def get(
    name: str, learning_rate: float, *, warmup: int = 0, updates: int, width: int = 512
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Makes the schedule of a training by name.

    Args:
        name: constant, inverse_sqrt, noam, cosine or exponential.
        learning_rate: the highest rate; for noam the factor before the formula.
        warmup: updates of linear warm-up.
        updates: number of updates of the training; cosine ends there, exponential starts to decay
            halfway and halves the rate five times.
        width: the model's width D, for noam.

    Raises:
        ValueError: for an unknown name or a number out of its range.

    Example:

    >>> from keras_s2s import schedules
    >>> type(schedules.get("cosine", 0.5, updates=1000)).__name__
    'Cosine'
    """
    if name == "constant":
        return Constant(learning_rate, warmup)
    if name == "inverse_sqrt":
        return InverseSqrt(learning_rate, warmup)
    if name == "noam":
        return Noam(learning_rate, width, warmup)
    if name == "cosine":
        return Cosine(learning_rate, updates, warmup)
    if name == "exponential":
        return Exponential(learning_rate, updates // 2, max(1, updates // 10), warmup=warmup)
    known = "constant, inverse_sqrt, noam, cosine, exponential"
    raise ValueError(f"schedule: expected one of {known}, got {name!r}")
