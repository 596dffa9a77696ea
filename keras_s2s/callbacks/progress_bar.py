"""The speed and the time left, said as training goes."""

import math
import sys
import time

import keras
import tensorflow as tf
from tqdm import tqdm

__all__ = ["ProgressBar", "TargetTokens", "duration"]


@keras.saving.register_keras_serializable("keras_s2s")
class TargetTokens(keras.metrics.Metric):
    """Counts the real target tokens since the last reset: the sum of sample_weight [B, T].

    `ProgressBar` measures speed by it; give it to `compile(weighted_metrics=...)`.
    """

    def __init__(self, name="tokens", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        weights = tf.ones_like(y_true) if sample_weight is None else sample_weight
        self.total.assign_add(tf.reduce_sum(tf.cast(weights, tf.float32)))

    def result(self):
        return tf.convert_to_tensor(self.total)


class ProgressBar(keras.callbacks.Callback):
    """Updates done and to do, loss, target tokens a second and the time left.

    A bar on a terminal, elsewhere a line every `interval` seconds. The speed is that of the
    updates alone, measured from the second one on (the first compiles); the time left counts
    validations too. Adds `tokens_per_second` to an epoch's logs in place of `tokens`.

    Args:
        course: the run's.
        stream: text stream, `sys.stderr` unless given.
        interval: seconds between two lines.
    """

    def __init__(self, course, *, stream=None, interval=10.0):
        super().__init__()
        self.course, self.interval = course, interval
        self.stream = stream or sys.stderr
        self.tokens_per_second = 0.0
        self._bar = self._steady = None
        self._made = 0  # updates of this session
        self._shown, self._window = time.monotonic(), (time.monotonic(), 0.0)

    def say(self, text: str):
        """Writes one line, above the bar when there is one."""
        if self._bar is None:
            self.stream.write(text + "\n")
            self.stream.flush()
        else:
            self._bar.write(text, file=self.stream)

    def close(self):
        """Takes the bar away; training calls it however `fit` ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_train_begin(self, logs=None):
        if self.stream.isatty():
            self._bar = tqdm(
                total=self.course.updates,
                initial=self.course.step,
                unit=" updates",
                file=self.stream,
                dynamic_ncols=True,
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._window = (time.monotonic(), 0.0)

    def on_train_batch_end(self, batch, logs=None):
        now, tokens = time.monotonic(), float((logs or {}).get("tokens", 0.0))
        self._made += 1
        if self._steady is None:
            self._steady, self._window, self._shown = (now, self._made), (now, tokens), now
        elapsed = now - self._window[0]
        if elapsed > 0:
            self.tokens_per_second = (tokens - self._window[1]) / elapsed
        if self._bar is not None:
            self._bar.update(self.course.step - self._bar.n)
        if now - self._shown >= (1.0 if self._bar is not None else self.interval) and elapsed > 0:
            self._shown = now
            self._show(now, float(logs.get("loss", math.nan)))

    def _show(self, now, loss):
        speed = f"loss {loss:.4g}, {self.tokens_per_second:,.0f} target tokens/s"
        if self._bar is not None:
            self._bar.set_postfix_str(speed)
            return
        step, updates = self.course.step, self.course.updates
        share = f"update {step:,} of {updates:,} ({step / updates:.0%})"
        self.say(f"{share}: {speed}, {duration(self.seconds_left(now))} left")

    def seconds_left(self, now: float) -> float:
        """Seconds to the last update at this session's pace; NaN before the second update."""
        began, first = self._steady or (now, self._made)
        if self._made == first:
            return math.nan
        left = max(0, self.course.updates - self.course.step)
        return (now - began) / (self._made - first) * left

    def on_epoch_end(self, epoch, logs=None):
        for name in ("tokens", "val_tokens"):
            logs.pop(name, None)
        logs["tokens_per_second"] = self.tokens_per_second

    def on_train_end(self, logs=None):
        self.close()


def duration(seconds: float) -> str:
    """Seconds as people say them: 8 s, 3 min 20 s, 2 h 5 min; `?` for NaN."""
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
