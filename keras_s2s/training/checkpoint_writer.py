"""Checkpoints of a run: best/, last/ and the latest ones for averaging."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_s2s import checkpoints
from keras_s2s.errors import UserError
from keras_s2s.training.session import Session

__all__ = ["CheckpointWriter"]


class CheckpointWriter:
    """Writes the checkpoints of a session.

    Args:
        session: the session.
        export: `export(run_dir, step)` publishes RUN/best; None for no export.
    """

    def __init__(self, session: Session, export: Callable[[Path, int], Any] | None = None) -> None:
        self.session, self.export = session, export
        self.best, self.last = session.run_dir / "best", session.run_dir / "last"
        self.history = session.run_dir / "checkpoints"

    def save_last(self, state: dict[str, Any]) -> None:
        """Writes RUN/last, and a copy under RUN/checkpoints if `training.keep` is positive."""
        checkpoints.save(self.session.model, self.last, state)
        self._keep_last(state["step"])

    def save_validated(self, state: dict[str, Any], is_best: bool) -> None:
        """Writes the checkpoints of a validation: RUN/best, if it is the best, then RUN/last.

        A run that is interrupted between the two repeats the validation.
        """
        model, config = self.session.model, self.session.config
        if is_best:
            with model.averaged():
                checkpoints.save(model, self.best, state)
        if is_best and config.training.ema is None:
            checkpoints.copy(self.best, self.last)
            self._keep_last(state["step"])
        else:
            self.save_last(state)
        if is_best and self.export and config.export.when == "best":
            self._publish(self.export, state["step"])

    def _keep_last(self, step: int) -> None:
        count = self.session.config.training.keep
        if not count:
            return
        checkpoints.copy(self.last, self.history / str(step))
        paths = [path for path in self.history.iterdir() if path.name.isdecimal() and path.is_dir()]
        kept = sorted(filter(checkpoints.exists, paths), key=lambda path: int(path.name))[-count:]
        for stale in set(paths) - set(kept):
            checkpoints.remove(stale)

    def _publish(self, export: Callable[[Path, int], Any], step: int) -> None:
        try:
            export(self.session.run_dir, step)
        except UserError as error:  # a failed export does not end hours of training
            self.session.log(f"export of update {step:,} failed: {error}")
