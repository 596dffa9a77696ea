"""Time and memory of an update."""

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.training.memory import PeakMemory, estimate_memory

__all__ = ["Measurement", "UpdateMeter"]

STEPS = 3  # updates to measure, after one that compiles


class Measurement(NamedTuple):
    """Result of some updates on a batch.

    Attributes:
        batch_tokens: the requested batch size.
        rows: pairs in the batch.
        length: tokens of the longest side.
        seconds: median time of an update.
        speed: real target tokens per second.
        peak: the largest memory use in bytes.
        loss: loss of the last update.
        is_applied: whether the last update changed the weights.
    """

    batch_tokens: int
    rows: int
    length: int
    seconds: float
    speed: float
    peak: int
    loss: float
    is_applied: bool


class UpdateMeter:
    """Measures updates of a compiled model. The model cannot be trained afterwards.

    Args:
        model: a model with `update_stats` (see `keras_s2s.models.training_step`).
        read_batch: `read_batch(batch_tokens)` returns the longest batch of that size.
    """

    def __init__(self, model: keras.Model, read_batch: Callable[[int], Any]) -> None:
        self.model, self.read_batch = model, read_batch
        # (tokens, bytes) of the measured batches, after the memory in use without a batch
        self.measured: list[tuple[int, int]] = [(0, PeakMemory().current())]

    @property
    def initial_memory(self) -> int:
        """Bytes in use before the first batch."""
        return self.measured[0][1]

    def estimate(self, batch: Any) -> int:
        """Memory in bytes that a batch will use, extrapolated from the measured batches."""
        return estimate_memory(self.measured, _padded_tokens(batch))

    def measure(self, batch_tokens: int, batch: Any, steps: int = STEPS) -> Measurement:
        """Makes one update, then `steps` updates that are measured."""
        timer, peak = _UpdateTimer(), PeakMemory()
        self.model.fit(
            _repeat(batch), steps_per_epoch=steps + 1, verbose=0, shuffle=False, callbacks=[timer]
        )
        times = np.diff([0.0, *timer.times])
        seconds = float(np.median(times[1:] if steps else times))
        self.measured.append((_padded_tokens(batch), peak.maximum()))
        tokens = int(tf.math.count_nonzero(batch[2])) * self.model.batches_per_update
        loss, is_applied = self.model.update_stats.read()
        return Measurement(
            batch_tokens,
            len(batch[1]),
            _length(batch),
            seconds,
            tokens / seconds,
            peak.maximum(),
            loss,
            is_applied,
        )


class _UpdateTimer(keras.callbacks.Callback):
    """Records when each update ends, in seconds from the start of training."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.start, self.times = time.perf_counter(), []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.model.update_stats.read()  # waits for the update
        self.times.append(time.perf_counter() - self.start)


def _repeat(batch: Any) -> tf.data.Dataset:
    """An endless dataset of a batch, with unknown rows and lengths as in training."""
    spec = tf.nest.map_structure(_flexible_spec, batch)
    return tf.data.Dataset.from_generator(lambda: itertools.repeat(batch), output_signature=spec)


def _flexible_spec(tensor: tf.Tensor) -> tf.TensorSpec:
    """The spec of a tensor [B, T, ...] with unknown B and T."""
    return tf.TensorSpec([None, None][: tensor.shape.rank] + tensor.shape[2:], tensor.dtype)


def _length(batch: Any) -> int:
    return max(batch[0]["source"]["mask"].shape[1], batch[1].shape[1])


def _padded_tokens(batch: Any) -> int:
    """Tokens of the longer side, padding included."""
    return len(batch[1]) * _length(batch)
