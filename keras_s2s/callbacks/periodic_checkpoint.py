"""Checkpoints between validations."""

from collections.abc import Callable

import keras

from keras_s2s.callbacks.training_progress import TrainingProgress

__all__ = ["PeriodicCheckpoint"]


class PeriodicCheckpoint(keras.callbacks.Callback):
    """Saves a checkpoint every few updates, so that an interrupted session loses less.

    Args:
        progress: the progress of the run.
        every: updates between two checkpoints.
        save: `save(state)` writes a checkpoint.
    """

    def __init__(
        self, progress: TrainingProgress, every: int, save: Callable[[dict], None]
    ) -> None:
        super().__init__()
        self.progress, self.every, self.save = progress, every, save

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # At the end of an epoch `Validation` saves.
        if self.progress.is_due(self.every) and not self.model.stop_training:
            self.save(self.progress.snapshot(include_metrics=True))
