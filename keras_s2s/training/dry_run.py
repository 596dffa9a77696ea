"""Dry run: every check and one update, with nothing written."""

import math
import shutil
from pathlib import Path
from typing import Any, TextIO

from keras_s2s.config import Config
from keras_s2s.data import longest_batch
from keras_s2s.errors import UserError
from keras_s2s.training.failure_recovery import explain_failures
from keras_s2s.training.memory import format_bytes, free_memory, model_memory
from keras_s2s.training.session import Session, build_session
from keras_s2s.training.update_meter import Measurement, UpdateMeter

__all__ = ["dry_run"]

DIVISORS = (8, 4)  # of the batch size, for the two batches that the estimate is based on
MAX_TOKENS = 8192  # upper bound of the size that is divided: a full batch may not fit at all
COPIES = 3  # best/, last/ and the checkpoint that is being written


def dry_run(config: Config, run_dir: Path | str, *, stream: TextIO | None = None) -> dict[str, Any]:
    """Does what `train` does up to the first update, and reports the results.

    Checks corpora, configuration, the run directory and its last checkpoint; trains tokenizers
    that do not exist yet. Makes updates on the longest pairs: on two smaller batches, from which
    the memory of a full batch is estimated, then on a full batch. The run directory and
    `data.cache` are not changed.

    Args:
        config, run_dir: as for `train`.
        stream: text stream for the report, `sys.stderr` by default.

    Returns:
        dict of `updates` made and to make, `pairs`, `batch_tokens`, the `loss` and `seconds` of
        the update, and in bytes `model`, `peak`, `free` (None when unknown) and `checkpoints`.

    Raises:
        UserError: as `train`; or the update is not finite, or memory or disk space is insufficient.
    """
    session = build_session(config, Path(run_dir), stream, write=False)
    sizes = model_memory(session.model)
    parts = ", ".join(f"{name} {format_bytes(size)}" for name, size in sizes.items())
    session.log(f"memory: {parts}")
    disk_space = _check_disk_space(session, sizes)
    free = free_memory()
    with explain_failures(session):
        measurement, expected = _measure_full_batch(session, free)
    _log_measurement(session, measurement, expected, free)
    step, updates = session.progress.step, session.progress.updates
    session.log(f"{run_dir}: nothing written; {step:,} of {updates:,} updates done")
    return {
        "updates": [step, updates],
        "pairs": session.statistics["train"].kept,
        "batch_tokens": session.config.data.batch_tokens,
        "loss": measurement.loss,
        "seconds": measurement.seconds,
        "model": sum(sizes.values()),
        "peak": measurement.peak,
        "free": free,
        "checkpoints": disk_space,
    }


def _measure_full_batch(session: Session, free: int | None) -> tuple[Measurement, int]:
    """The measurement of a full batch, and its estimated memory."""
    data = session.config.data

    def read_batch(batch_tokens: int) -> Any:
        return longest_batch(
            data.train,
            *session.tokenizers,
            statistics=session.statistics["train"],
            batch_tokens=batch_tokens,
            copy=session.model.supports_copy,
        )

    meter = UpdateMeter(session.model, read_batch)
    for divisor in DIVISORS:
        size = max(min(data.batch_tokens, MAX_TOKENS) // divisor, 1)
        _check_update(meter.measure(size, read_batch(size), steps=0))
    batch = read_batch(data.batch_tokens)
    expected = meter.estimate(batch)
    needed = expected - meter.initial_memory
    if free is not None and needed > free:
        raise UserError(
            f"data.batch_tokens: an update of {data.batch_tokens:,} tokens would take about"
            f" {format_bytes(needed)} of memory, and {format_bytes(free)} are free; lower it,"
            f" data.max_length ({data.max_length:,}) or the model's sizes"
        )
    measurement = meter.measure(data.batch_tokens, batch, steps=0)
    _check_update(measurement)
    return measurement, expected


def _log_measurement(
    session: Session, measurement: Measurement, expected: int, free: int | None
) -> None:
    pairs = f"{measurement.rows:,} pairs of up to {measurement.length:,} tokens"
    result = f"loss {measurement.loss:.4g}, {measurement.seconds:.3g} s"
    session.log(f"update: {pairs}, the longest; {result}")
    peak = f"{format_bytes(measurement.peak)} at the peak, estimated {format_bytes(expected)}"
    more = "" if free is None else f"; {format_bytes(free)} more were free"
    session.log(f"memory: {peak}{more}")


def _check_update(measurement: Measurement) -> None:
    if not (measurement.is_applied and math.isfinite(measurement.loss)):
        problem = "an update on the longest pairs is not finite"
        raise UserError(
            f"{problem}, with a loss of {measurement.loss:.4g}; lower training.learning_rate, or"
            " choose training.policy=float32"
        )


def _check_disk_space(session: Session, sizes: dict[str, int]) -> int:
    """The bytes of the run's checkpoints, which must be free on the disk."""
    directory = session.run_dir.absolute()
    while not directory.exists():
        directory = directory.parent
    needed = COPIES * (sizes["weights"] + sizes["optimizer"])
    free = shutil.disk_usage(directory).free
    if needed > free:
        problem = f"checkpoints take {format_bytes(needed)}, and {format_bytes(free)} are free"
        raise UserError(f"{session.run_dir}: {problem}")
    session.log(f"disk: checkpoints take {format_bytes(needed)}, {format_bytes(free)} are free")
    return needed
