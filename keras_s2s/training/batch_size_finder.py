"""Updates on the longest pairs: what they cost, and which size of batches is the fastest."""

import dataclasses
import gc
import itertools
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import longest_batch
from keras_s2s.errors import UserError
from keras_s2s.training.compilation import build_compiled_model
from keras_s2s.training.memory import PeakMemory, estimate_memory, format_bytes, free_memory

__all__ = ["AUTO", "Measurement", "UpdateMeter", "fastest_size", "find_batch_size"]

AUTO = "auto"
SIZES = tuple(512 * 2**n for n in range(8))  # to 65,536
SHARE = 0.8  # of the free memory that batches may take, where data.memory_limit does not say
STEPS = 3  # measured after one that compiles or warms up
CLOSE = 0.97  # of the best speed: as fast, within what a clock tells
PATIENCE = 2  # sizes without a better speed


class Measurement(NamedTuple):
    """What some updates on the longest pairs did.

    Attributes:
        batch_tokens: the size that was asked for.
        rows, length: pairs in the batch, and the tokens of its longest side.
        seconds: of one update.
        speed: real target tokens a second.
        peak: most bytes of memory in use.
        loss: of the last update; made: whether it changed the weights.
    """

    batch_tokens: int
    rows: int
    length: int
    seconds: float
    speed: float
    peak: int
    loss: float
    made: bool


class UpdateMeter:
    """Makes updates of a compiled model, which is not fit for anything else afterwards.

    Args:
        model: with `vitals` (see `keras_s2s.updates`).
        read: `read(batch_tokens)` gives the longest batch of that size.
    """

    def __init__(self, model, read):
        self.model, self.read = model, read
        self.points = [(0, PeakMemory().now())]

    def expect(self, batch) -> int:
        """Bytes that a batch is going to take, by those before it; after two of them at best."""
        return estimate_memory(self.points, _padded(batch))

    def run(self, batch_tokens, batch, steps=STEPS) -> Measurement:
        """Makes one update, then `steps` more that are measured."""
        clock, peak = _Clock(), PeakMemory()
        self.model.fit(
            _endless(batch), steps_per_epoch=steps + 1, verbose=0, shuffle=False, callbacks=[clock]
        )
        spent = np.diff([0.0, *clock.times])  # by update
        seconds = float(np.median(spent[1:] if steps else spent))
        self.points.append((_padded(batch), peak.most()))
        tokens = int(tf.math.count_nonzero(batch[2])) * self.model.batches_per_update
        loss, made = self.model.update_stats.read()
        return Measurement(
            batch_tokens,
            len(batch[1]),
            _length(batch),
            seconds,
            tokens / seconds,
            peak.most(),
            loss,
            made,
        )


def find_batch_size(config: Config, pair, statistics, copy: bool, say) -> Config:
    """The configuration with a number where `data.batch_tokens` is `auto`.

    A model of its own makes updates on the longest pairs at rising sizes, until memory or speed
    end. The fastest is chosen, and the smallest of those that are as fast within 3 %.

    Args:
        config: complete.
        pair: the source's and the target's tokenizer.
        surveyed: of `data.train`.
        copy: whether the model copies.
        say: takes a line for the user.

    Raises:
        UserError: not even the smallest size fits.
    """
    if config.data.batch_tokens != AUTO:
        return config

    def read(batch_tokens):
        return longest_batch(
            config.data.train, *pair, statistics=statistics, batch_tokens=batch_tokens, copy=copy
        )

    prober = UpdateMeter(build_compiled_model(config, pair), read)
    trials = _climb(prober, _bound(config, prober), say)
    if not trials:
        raise UserError(
            f"data.batch_tokens: auto: out of memory at {SIZES[0]} tokens; lower data.max_length"
            f" ({config.data.max_length:,}) or the model's sizes, or raise data.memory_limit"
        )
    chosen = fastest_size(trials)
    say(f"data.batch_tokens: {chosen:,} chosen")
    del prober
    gc.collect()
    # what follows is as if nobody had looked
    keras.utils.set_random_seed(config.training.seed)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, batch_tokens=chosen))


def fastest_size(trials: list[Measurement]) -> int:
    """The size of the fastest, or the smallest that is as fast within 3 %."""
    best = max(trial.speed for trial in trials)
    return min(trial.batch_tokens for trial in trials if trial.speed >= CLOSE * best)


def _bound(config, prober):
    """Bytes that may be in use; None where nothing says."""
    if config.data.memory_limit is not None:
        return config.data.memory_limit * 1e9
    free = free_memory()
    return None if free is None else prober.points[0][1] + SHARE * free


def _climb(prober, bound, say):
    trials, rows = [], 0
    if bound and prober.points[0][1] > bound:
        return trials
    for size in SIZES:
        batch = prober.read(size)
        if len(batch[1]) == rows:
            say(f"data.batch_tokens: {size:,}: no more pairs than in the size before")
            break
        rows = len(batch[1])
        # before two batches the line would count what the first update compiles
        if bound and len(prober.points) > 2 and prober.expect(batch) > bound:
            needs = f"would take {format_bytes(prober.expect(batch))} of {format_bytes(bound)}"
            say(f"data.batch_tokens: {size:,}: {needs}")
            break
        try:
            trial = prober.run(size, batch)
        except (tf.errors.ResourceExhaustedError, MemoryError):
            say(f"data.batch_tokens: {size:,}: out of memory")
            break
        say(
            f"data.batch_tokens: {size:,}: {trial.speed:,.0f} target tokens/s, {format_bytes(trial.peak)}"
        )
        if bound and trial.peak > bound:
            break
        trials.append(trial)
        if _is_past_its_best(trials):
            break
    return trials


def _is_past_its_best(trials):
    speeds = [trial.speed for trial in trials]
    return len(speeds) - 1 - speeds.index(max(speeds)) >= PATIENCE


class _Clock(keras.callbacks.Callback):
    """When each update was done, in seconds from the first one's beginning."""

    def on_train_begin(self, logs=None):
        self.began, self.times = time.perf_counter(), []

    def on_train_batch_end(self, batch, logs=None):
        self.model.update_stats.read()  # waits for it
        self.times.append(time.perf_counter() - self.began)


def _endless(batch):
    """The batch again and again, of shapes that nobody knows, as training has them."""
    spec = tf.nest.map_structure(_free, batch)
    return tf.data.Dataset.from_generator(lambda: itertools.repeat(batch), output_signature=spec)


def _free(tensor):
    """Rows and positions are free, the numbers in a frame are not."""
    return tf.TensorSpec([None, None][: tensor.shape.rank] + tensor.shape[2:], tensor.dtype)


def _length(batch):
    return max(batch[0]["source"]["mask"].shape[1], batch[1].shape[1])


def _padded(batch):
    """Tokens of the longer side, padding included."""
    return len(batch[1]) * _length(batch)
