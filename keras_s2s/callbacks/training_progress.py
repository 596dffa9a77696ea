"""Where a run is: the one place that counts its updates, and what a checkpoint must remember."""

import time

import keras

__all__ = ["TrainingProgress"]

FRESH = {
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
    """Counts the updates of a run over all its sessions.

    Args:
        updates: of the whole run.
        state: what `snapshot` gave to the checkpoint that training resumes; {} at the beginning.
        batches: that one update takes from the data.

    Attributes:
        state: JSON values: `step`, updates made; `position`, batches read; `validations`,
            `best`, `best_step`, `waited`, `figures`, as the last validation left them; `seconds`
            of training; `sums`, what the metrics had summed up in the middle of an epoch.
    """

    def __init__(self, updates, *, state=None, batches=1):
        super().__init__()
        self.updates, self.batches = updates, batches
        self.state = {**FRESH, **(state or {})}
        self._began = time.monotonic()
        self._moved = False

    @property
    def step(self) -> int:
        """Updates made."""
        return self.state["step"]

    @property
    def finished(self) -> bool:
        """Whether all updates are made."""
        return self.step >= self.updates

    def due(self, every: int) -> bool:
        """Whether the update just made is one of every so many."""
        return self._moved and self.step % every == 0

    def snapshot(self, *, within: bool = False) -> dict:
        """What a checkpoint keeps.

        Args:
            within: whether an epoch is under way, so that its sums must come back too.
        """
        sums = [v.numpy().tolist() for v in self.model.metrics_variables] if within else []
        self.state["seconds"] = self.seconds()
        return {**self.state, "sums": sums}

    def seconds(self) -> float:
        """Seconds of training over all sessions."""
        return time.monotonic() - self._began

    def resume(self, state: dict) -> None:
        """Goes on from what `snapshot` gave; the sums return with the next update."""
        self.state, self._moved = {**FRESH, **state}, False

    def on_train_begin(self, logs=None):
        self._began = time.monotonic() - self.state["seconds"]

    def on_train_batch_end(self, batch, logs=None):
        self._moved = True
        self.state["step"] += 1
        self.state["position"] += self.batches
        self._add_sums()
        if self.finished:
            self.model.stop_training = True

    def _add_sums(self):
        # Keras makes the metrics' variables with the first update; what they hold are sums
        for variable, value in zip(self.model.metrics_variables, self.state["sums"], strict=False):
            variable.assign_add(value)
        self.state["sums"] = []
