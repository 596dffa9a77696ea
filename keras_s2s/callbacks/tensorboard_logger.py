"""Training and validation curves in TensorBoard."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.callbacks.training_progress import TrainingProgress

__all__ = ["TensorBoardLogger"]


class TensorBoardLogger(keras.callbacks.Callback):
    """Writes scalars to `directory`/train and `directory`/valid, by updates.

    `TensorBoardLogger("logs")` is sufficient for the `fit` of any Keras model. The gradient norm
    needs a model with `update_stats`: `configure_updates` is called for a `Seq2Seq` on one replica
    that does not run eagerly.

    Args:
        directory: usually RUN/logs.
        progress: the progress of the run; by default the optimizer's iterations count the updates.
        every: updates between two points of the training curves: loss and metrics since the last
            validation, learning rate, and the gradient norm before clipping. The end of an epoch
            is a point too.
        texts: `texts()` returns {name: Markdown} to show beside the curves of a validation.
    """

    def __init__(
        self,
        directory: Path | str,
        progress: TrainingProgress | None = None,
        *,
        every: int = 50,
        texts: Callable[[], dict[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.directory, self.progress, self.every = Path(directory), progress, every
        self.texts: Callable[[], dict[str, str]] = texts or dict
        self._writers: dict[str, Any] = {}
        self._logs: dict[str, Any] = {}

    def set_model(self, model: keras.Model) -> None:
        # Not in `on_train_begin`: by then Keras has built the train function.
        super().set_model(model)
        replicas = model.distribute_strategy.num_replicas_in_sync
        has_stats = hasattr(model, "configure_updates") and replicas == 1 and not model.run_eagerly
        if has_stats and model.update_stats is None and model.optimizer is not None:
            model.configure_updates()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._logs = dict(logs or {})
        if self._is_due():
            self._write_training()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        if self._logs:
            self._write_training()
        valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._write("valid", valid | self.texts())
        if "tokens_per_second" in logs:
            self._write("train", {"tokens_per_second": logs["tokens_per_second"]})

    def on_train_end(self, logs: dict | None = None) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _write_training(self) -> None:
        values = {name: value for name, value in self._logs.items() if name != "tokens"}
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        stats = getattr(self.model, "update_stats", None)
        if stats is not None and math.isfinite(norm := stats.gradient_norm()):
            values["gradient_norm"] = norm
        self._write("train", values)
        self._logs = {}

    def _is_due(self) -> bool:
        if self.progress is not None:
            return self.progress.is_due(self.every)
        return self._step() % self.every == 0

    def _step(self) -> int:
        if self.progress is not None:
            return self.progress.step
        return int(self.model.optimizer.iterations)

    def writer(self, name: str) -> tf.summary.SummaryWriter:
        """The open writer of `directory`/`name`. TensorBoard reads one open file per directory."""
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self.directory / name))
        return self._writers[name]

    def _write(self, name: str, values: dict[str, Any]) -> None:
        if not values:
            return
        with self.writer(name).as_default(step=self._step()):
            for key, value in values.items():
                write = tf.summary.text if isinstance(value, str) else tf.summary.scalar
                write(key, value)
        self.writer(name).flush()
