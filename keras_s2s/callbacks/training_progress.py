"""The progress of a run over all its sessions."""

import time
from typing import Any

import keras

__all__ = ["TrainingProgress"]

INITIAL_STATE = {
    "step": 0,
    "position": 0,
    "validations": 0,
    "best": None,
    "best_step": 0,
    "waited": 0,
    "seconds": 0.0,
    "figures": {},
    "sums": [],
}


class TrainingProgress(keras.callbacks.Callback):
    """Counts the updates of a run and holds the state that its checkpoints store.

    Args:
        updates: updates of the whole run.
        state: the `snapshot` of the checkpoint that training resumes from; None for a new run.
        batches: number of batches of an update.

    Attributes:
        state: JSON values: `step`, updates made; `position`, batches read; `validations`, `best`,
            `best_step`, `waited` and `figures`, set by the last validation; `seconds` of training;
            `sums`, the metric variables in the middle of an epoch.

    Example:

    >>> from keras_s2s.callbacks import TrainingProgress
    >>> progress = TrainingProgress(updates=100, state={"step": 60})
    >>> progress.step, progress.is_finished
    (60, False)
    """

    def __init__(
        self, updates: int, *, state: dict[str, Any] | None = None, batches: int = 1
    ) -> None:
        super().__init__()
        self.updates, self.batches = updates, batches
        self.state: dict[str, Any] = {**INITIAL_STATE, **(state or {})}
        self._start = time.monotonic()
        self._has_updated = False  # since the last `resume`

    @property
    def step(self) -> int:
        """Number of updates made."""
        return self.state["step"]

    @property
    def is_finished(self) -> bool:
        """Whether all updates are made."""
        return self.step >= self.updates

    def is_due(self, every: int) -> bool:
        """Whether the number of updates just became a multiple of `every`."""
        return self._has_updated and self.step % every == 0

    def snapshot(self, *, include_metrics: bool = False) -> dict[str, Any]:
        """The state to store in a checkpoint.

        Args:
            include_metrics: whether to include the metric variables, for a checkpoint in the
                middle of an epoch.
        """
        variables = self.model.metrics_variables if include_metrics else []
        self.state["seconds"] = self.seconds()
        return {**self.state, "sums": [v.numpy().tolist() for v in variables]}

    def seconds(self) -> float:
        """Seconds of training over all sessions."""
        return time.monotonic() - self._start

    def resume(self, state: dict[str, Any]) -> None:
        """Continues from a `snapshot`; its metric variables are added at the next update."""
        self.state, self._has_updated = {**INITIAL_STATE, **state}, False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._start = time.monotonic() - self.state["seconds"]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._has_updated = True
        self.state["step"] += 1
        self.state["position"] += self.batches
        self._restore_metrics()
        if self.is_finished:
            self.model.stop_training = True

    def _restore_metrics(self) -> None:
        # Keras creates the metric variables at the first update. They are sums, so adding restores.
        for variable, value in zip(self.model.metrics_variables, self.state["sums"], strict=False):
            variable.assign_add(value)
        self.state["sums"] = []
