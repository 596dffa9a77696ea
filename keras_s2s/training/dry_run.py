"""A training that is only tried: everything is checked, one update made, nothing written."""

import math
import shutil
from pathlib import Path

from keras_s2s.config import Config
from keras_s2s.data import longest_batch
from keras_s2s.errors import UserError
from keras_s2s.training.failure_recovery import explain_failures
from keras_s2s.training.memory import format_bytes, free_memory, model_memory
from keras_s2s.training.session import build_session
from keras_s2s.training.update_meter import UpdateMeter

__all__ = ["dry_run"]

PARTS = (8, 4)  # the first updates are made on batches that much smaller
SAFE = 8192  # tokens, and on parts of so many at most: the whole may not fit by far
COPIES = 3  # best/, last/ and the one that is being written


def dry_run(config: Config, run_dir, *, stream=None) -> dict:
    """Does what `train` does up to its first update, and says what it found.

    Corpora, configuration, the run directory and its last checkpoint are checked; tokenizers that
    are not there yet are trained. Updates on the longest pairs are made of two smaller batches,
    from which the memory of a whole one is estimated, then of a whole one. The run directory and
    `data.cache` are left as they are.

    Args:
        config, run_dir: as for `train`.
        stream: text stream for what was found, `sys.stderr` unless given.

    Returns:
        dict of `updates` made and to do, `pairs`, `batch_tokens`, the `loss` and `seconds` of
        the update, and in bytes `model`, `peak`, `free` (None when unknown), `checkpoints`.

    Raises:
        UserError: as `train`; the update is not finite, or memory or the disk do not suffice.
    """
    session = build_session(config, Path(run_dir), stream, write=False)
    say, sizes = session.progress.say, model_memory(session.model)
    say("memory: " + ", ".join(f"{name} {format_bytes(size)}" for name, size in sizes.items()))
    disk = _check_disk(session, sizes)
    free = free_memory()
    with explain_failures(session):
        trial, expected = _try(session, free)
    pairs = f"{trial.rows:,} pairs of up to {trial.length:,} tokens"
    say(f"update: {pairs}, the longest; loss {trial.loss:.4g}, {trial.seconds:.3g} s")
    has = "" if free is None else f"; {format_bytes(free)} more were free"
    say(f"memory: {format_bytes(trial.peak)} at the peak, estimated {format_bytes(expected)}{has}")
    state = session.course.state
    say(f"{run_dir}: nothing written; {state['step']:,} of {session.course.updates:,} updates done")
    return {
        "updates": [state["step"], session.course.updates],
        "pairs": session.surveys["train"].kept,
        "batch_tokens": session.config.data.batch_tokens,
        "loss": trial.loss,
        "seconds": trial.seconds,
        "model": sum(sizes.values()),
        "peak": trial.peak,
        "free": free,
        "checkpoints": disk,
    }


def _try(session, free):
    """The trial of the whole batch, and the peak that a part of it let expect."""
    data = session.config.data

    def read(batch_tokens):
        return longest_batch(
            data.train,
            *session.tokenizers,
            statistics=session.surveys["train"],
            batch_tokens=batch_tokens,
            copy=session.model.supports_copy,
        )

    prober = UpdateMeter(session.model, read)
    held = prober.points[0][1]
    for part in PARTS:
        size = max(min(data.batch_tokens, SAFE) // part, 1)
        _check_update(prober.run(size, read(size), steps=0))
    batch = read(data.batch_tokens)
    expected = prober.expect(batch)
    if free is not None and expected - held > free:
        raise UserError(
            f"data.batch_tokens: an update of {data.batch_tokens:,} tokens would take about"
            f" {format_bytes(expected - held)} of memory, and {format_bytes(free)} are free; lower it,"
            f" data.max_length ({data.max_length:,}) or the model's sizes"
        )
    trial = prober.run(data.batch_tokens, batch, steps=0)
    _check_update(trial)
    return trial, expected


def _check_update(trial):
    if not (trial.made and math.isfinite(trial.loss)):
        what = f"an update on the longest pairs is not finite, with a loss of {trial.loss:.4g}"
        raise UserError(f"{what}; lower training.learning_rate, or choose training.policy=float32")


def _check_disk(session, sizes):
    """Bytes of the run's checkpoints, which its disk must have."""
    place = session.run_dir.absolute()
    while not place.exists():
        place = place.parent
    needed = COPIES * (sizes["weights"] + sizes["optimizer"])
    free = shutil.disk_usage(place).free
    if needed > free:
        raise UserError(
            f"{session.run_dir}: checkpoints take {format_bytes(needed)}, and {format_bytes(free)} are free"
        )
    session.progress.say(
        f"disk: checkpoints take {format_bytes(needed)}, {format_bytes(free)} are free"
    )
    return needed
