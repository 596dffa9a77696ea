"""Validation: scores, checkpoints and early stopping."""

import math
from collections.abc import Callable
from typing import Any

import keras

from keras_s2s.callbacks.best_tracker import BestTracker
from keras_s2s.callbacks.training_progress import TrainingProgress
from keras_s2s.errors import UserError

__all__ = ["Validation"]


class Validation(keras.callbacks.Callback):
    """Scores the model, saves the last and the best checkpoint and stops training in time.

    Ends an epoch whenever the number of updates is a multiple of `every`, so pass `fit` more
    `steps_per_epoch` than that. The logs of the epoch get the scores as `val_NAME`, and `step`,
    `learning_rate` and `seconds` (of training, over all sessions).

    Args:
        progress: the progress of the run, an earlier callback in the list.
        every: updates between two validations.
        save: `save(state, is_best)` writes checkpoints that store `state`.
        tracker: decides which checkpoint is the best and when to stop.
        score: `score()` decodes and returns {name: value}; None for no decoding.
        log: takes a line for the user.

    Raises:
        UserError: the loss is not finite; nothing is saved then.
    """

    def __init__(
        self,
        progress: TrainingProgress,
        every: int,
        save: Callable[[dict[str, Any], bool], None],
        *,
        tracker: BestTracker | None = None,
        score: Callable[[], dict[str, float]] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.progress, self.every, self.save, self.score = progress, every, save, score
        self.tracker, self.log = tracker or BestTracker(), log or (lambda text: None)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # Keras ends the epoch, validates, and reads this flag again after `on_epoch_end`.
        if self.progress.is_due(self.every):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        self._check_loss(logs)
        if self.score is not None:
            logs.update({f"val_{name}": value for name, value in self.score().items()})
        logs["step"] = self.progress.step
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = self.progress.seconds()
        is_best = self._update_state(logs)
        self.save(self.progress.snapshot(), is_best)
        self.log(
            _summarize(logs) + ("; the best so far" if is_best and self.tracker.metric else "")
        )
        is_exhausted = self.tracker.is_exhausted(self.progress.state)
        if is_exhausted:
            self._log_early_stop()
        self.model.stop_training = self.progress.is_finished or is_exhausted

    def _check_loss(self, logs: dict) -> None:
        loss = logs.get("loss", 0.0)
        if not math.isfinite(loss):
            advice = "lower training.learning_rate, or set training.clip_norm or a longer warmup"
            raise UserError(
                f"the loss became {loss} before update {self.progress.step:,}; {advice}"
            )

    def _update_state(self, logs: dict) -> bool:
        """Records the validation in the run's state; returns whether it is the best so far."""
        state = self.progress.state
        state["validations"] += 1
        state["figures"] = {name: float(value) for name, value in logs.items()}
        return self.tracker.update(state, logs)

    def _log_early_stop(self) -> None:
        state, metric = self.progress.state, (self.tracker.metric or "").removeprefix("val_")
        waited = f"{state['waited']} validations without a better {metric}"
        self.log(f"stopped after {waited}; the best was at update {state['best_step']:,}")


def _summarize(logs: dict) -> str:
    """The figures of a validation in one line, or those of training if there is no validation."""
    valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
    side = "validation" if valid else "training"
    first = ("loss", "accuracy", "perplexity")
    figures = {name: (valid or logs)[name] for name in first if name in (valid or logs)} | valid
    text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    return f"update {logs['step']:,}: {side} {text}"
