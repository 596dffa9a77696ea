"""When training saves: the best, the last, and the latest few to be averaged."""

import shutil

from keras_s2s import checkpoints
from keras_s2s.errors import UserError

__all__ = ["keeper", "saver"]


def keeper(session):
    """`save(state)` writes `last`, and a copy under checkpoints/ where `training.keep` asks."""
    last, kept = session.run_dir / "last", session.run_dir / "checkpoints"

    def save(state):
        checkpoints.save(session.model, last, state)
        _keep(last, kept, state["step"], session.config.training.keep)

    return save


def saver(session, export):
    """`save(state, is_best)` writes `last` after a validation, and before it `best` if it is that.

    A run cut between the two repeats a validation.
    """
    best, last = session.run_dir / "best", session.run_dir / "last"
    training, save_last = session.config.training, keeper(session)

    def save(state, is_best):
        if is_best:
            with session.model.averaged():
                checkpoints.save(session.model, best, state)
        if is_best and training.ema is None:
            checkpoints.copy(best, last)
            _keep(last, session.run_dir / "checkpoints", state["step"], training.keep)
        else:
            save_last(state)
        if is_best and export and session.config.export.when == "best":
            _publish(session, export, state["step"])

    return save


def _keep(last, kept, step, count):
    if not count:
        return
    checkpoints.copy(last, kept / str(step))
    found = sorted((p for p in kept.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    for old in found[:-count]:
        # cut off in the middle it must not look like a checkpoint
        (old / checkpoints.MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(old)


def _publish(session, export, step):
    try:
        export(session.run_dir, step)
    except UserError as error:  # hours of training are worth more than one export
        session.progress.say(f"export of update {step:,} failed: {error}")
