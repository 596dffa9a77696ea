"""Search for the fastest batch size that fits in memory."""

import dataclasses
import gc
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import longest_batch
from keras_s2s.errors import UserError
from keras_s2s.training.compilation import build_compiled_model
from keras_s2s.training.memory import format_bytes, free_memory
from keras_s2s.training.update_meter import Measurement, UpdateMeter

__all__ = ["AUTO", "BatchSizeFinder", "fastest_size", "find_batch_size"]

AUTO = "auto"
SIZES = tuple(512 * 2**n for n in range(8))  # up to 65,536 tokens
MEMORY_SHARE = 0.8  # of the free memory, without data.memory_limit
TOLERANCE = 0.97  # speeds above this share of the best one count as equal
PATIENCE = 2  # sizes without a better speed before the search ends


class BatchSizeFinder:
    """Measures updates on the longest pairs at rising sizes, until memory or speed end the search.

    Args:
        meter: measures updates of a model.
        limit: bytes that may be in use; None for no limit.
        log: takes a line for the user.
    """

    def __init__(self, meter: UpdateMeter, limit: float | None, log: Callable[[str], None]) -> None:
        self.meter, self.limit, self.log = meter, limit, log
        self.measurements: list[Measurement] = []

    def find(self) -> int | None:
        """The fastest size, or None when not even the smallest one fits."""
        if not self.limit or self.meter.initial_memory <= self.limit:
            self._search()
        return fastest_size(self.measurements) if self.measurements else None

    def _search(self) -> None:
        rows = 0
        for size in SIZES:
            batch = self.meter.read_batch(size)
            if len(batch[1]) == rows:
                self._log(size, "no more pairs than in the size before")
                return
            rows = len(batch[1])
            if not self._is_expected_to_fit(size, batch):
                return
            try:
                measurement = self.meter.measure(size, batch)
            except (tf.errors.ResourceExhaustedError, MemoryError):
                self._log(size, "out of memory")
                return
            memory = format_bytes(measurement.peak)
            self._log(size, f"{measurement.speed:,.0f} target tokens/s, {memory}")
            if self.limit and measurement.peak > self.limit:
                return
            self.measurements.append(measurement)
            if self._is_past_the_best():
                return

    def _is_expected_to_fit(self, size: int, batch: Any) -> bool:
        # The estimate needs two batches: the first update also counts what it compiles.
        if not self.limit or len(self.meter.measured) <= 2:
            return True
        expected = self.meter.estimate(batch)
        if expected > self.limit:
            self._log(size, f"would take {format_bytes(expected)} of {format_bytes(self.limit)}")
        return expected <= self.limit

    def _is_past_the_best(self) -> bool:
        speeds = [measurement.speed for measurement in self.measurements]
        return len(speeds) - 1 - speeds.index(max(speeds)) >= PATIENCE

    def _log(self, size: int, text: str) -> None:
        self.log(f"data.batch_tokens: {size:,}: {text}")


def fastest_size(measurements: list[Measurement]) -> int:
    """The size of the highest speed, or the smallest one whose speed is within 3 % of it."""
    best = max(measurement.speed for measurement in measurements)
    return min(m.batch_tokens for m in measurements if m.speed >= TOLERANCE * best)


def find_batch_size(
    config: Config, tokenizers: tuple, statistics: Any, copy: bool, log: Callable[[str], None]
) -> Config:
    """Replaces `data.batch_tokens: auto` by the fastest size.

    A separate model makes the updates, and seeds are reset afterwards, so that the search does not
    affect training.

    Args:
        config: a complete configuration.
        tokenizers: the source tokenizer and the target tokenizer.
        statistics: the statistics of `data.train`.
        copy: whether the model copies source tokens.
        log: takes a line for the user.

    Raises:
        UserError: not even the smallest size fits.
    """
    if config.data.batch_tokens != AUTO:
        return config

    def read_batch(batch_tokens: int) -> Any:
        return longest_batch(
            config.data.train,
            *tokenizers,
            statistics=statistics,
            batch_tokens=batch_tokens,
            copy=copy,
        )

    meter = UpdateMeter(build_compiled_model(config, tokenizers), read_batch)
    size = BatchSizeFinder(meter, _memory_limit(config, meter), log).find()
    if size is None:
        raise UserError(
            f"data.batch_tokens: auto: out of memory at {SIZES[0]} tokens; lower data.max_length"
            f" ({config.data.max_length:,}) or the model's sizes, or raise data.memory_limit"
        )
    log(f"data.batch_tokens: {size:,} chosen")
    del meter
    gc.collect()
    keras.utils.set_random_seed(config.training.seed)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, batch_tokens=size))


def _memory_limit(config: Config, meter: UpdateMeter) -> float | None:
    """Bytes that may be in use; None when unknown."""
    if config.data.memory_limit is not None:
        return config.data.memory_limit * 1e9
    free = free_memory()
    return None if free is None else meter.initial_memory + MEMORY_SHARE * free
