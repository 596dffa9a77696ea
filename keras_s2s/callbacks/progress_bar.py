"""Progress bar, training speed and time left."""

import math
import sys
import time
from typing import TextIO

import keras
from tqdm import tqdm

from keras_s2s.callbacks.duration import duration
from keras_s2s.callbacks.training_progress import TrainingProgress

__all__ = ["ProgressBar"]

BAR_INTERVAL = 1.0  # seconds between two updates of the bar's text


class ProgressBar(keras.callbacks.Callback):
    """Shows updates, loss, target tokens per second and the time left.

    On a terminal it is a bar, elsewhere a line every `interval` seconds. The speed is that of the
    updates without validations, measured from the second update on because the first one
    compiles. The time left includes validations. Replaces `tokens` by `tokens_per_second` in the
    logs of an epoch.

    Args:
        progress: the progress of the run.
        stream: text stream, `sys.stderr` by default.
        interval: seconds between two lines.
    """

    def __init__(
        self, progress: TrainingProgress, *, stream: TextIO | None = None, interval: float = 10.0
    ) -> None:
        super().__init__()
        self.progress, self.interval = progress, interval
        self.stream = stream or sys.stderr
        self.tokens_per_second = 0.0
        self._bar: tqdm | None = None
        self._updates = 0  # of this session
        # (time, updates) when the second update starts
        self._start: tuple[float, int] | None = None
        self._last_shown = time.monotonic()
        # (time, target tokens) at the start of the epoch
        self._epoch_start = (time.monotonic(), 0.0)

    def write(self, text: str) -> None:
        """Writes one line, above the bar if there is one."""
        if self._bar is None:
            self.stream.write(text + "\n")
            self.stream.flush()
        else:
            self._bar.write(text, file=self.stream)

    def close(self) -> None:
        """Removes the bar. Call it after `fit`, also when `fit` raises."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.stream.isatty():
            self._bar = tqdm(
                total=self.progress.updates,
                initial=self.progress.step,
                unit=" updates",
                file=self.stream,
                dynamic_ncols=True,
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch_start = (time.monotonic(), 0.0)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        now, tokens = time.monotonic(), float(logs.get("tokens", 0.0))
        self._updates += 1
        if self._start is None:
            self._start, self._epoch_start = (now, self._updates), (now, tokens)
            self._last_shown = now
        elapsed = now - self._epoch_start[0]
        if elapsed > 0:
            self.tokens_per_second = (tokens - self._epoch_start[1]) / elapsed
        if self._bar is not None:
            self._bar.update(self.progress.step - self._bar.n)
        interval = self.interval if self._bar is None else BAR_INTERVAL
        if now - self._last_shown >= interval and elapsed > 0:
            self._last_shown = now
            self._show(now, float(logs.get("loss", math.nan)))

    def _show(self, now: float, loss: float) -> None:
        speed = f"loss {loss:.4g}, {self.tokens_per_second:,.0f} target tokens/s"
        if self._bar is not None:
            self._bar.set_postfix_str(speed)
            return
        step, updates = self.progress.step, self.progress.updates
        share = f"update {step:,} of {updates:,} ({step / updates:.0%})"
        self.write(f"{share}: {speed}, {duration(self.seconds_left(now))} left")

    def seconds_left(self, now: float) -> float:
        """Seconds to the last update at the pace of this session; NaN before the second update."""
        start, first = self._start or (now, self._updates)
        if self._updates == first:
            return math.nan
        updates_left = max(0, self.progress.updates - self.progress.step)
        return (now - start) / (self._updates - first) * updates_left

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        for name in ("tokens", "val_tokens"):
            logs.pop(name, None)
        logs["tokens_per_second"] = self.tokens_per_second

    def on_train_end(self, logs: dict | None = None) -> None:
        self.close()
