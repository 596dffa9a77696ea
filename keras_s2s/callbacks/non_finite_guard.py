"""Detection of non-finite updates and of divergence."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from keras_s2s.callbacks.training_progress import TrainingProgress
from keras_s2s.errors import UserError

__all__ = ["NonFiniteGuard", "NonFinitePolicy"]

MAX_SKIPS = 10  # consecutive; more have another cause than a single batch
MAX_ROLL_BACKS = 3  # between two validations
MOMENTUM = 0.98  # of the running mean of the loss
ADVICE = "lower training.learning_rate, or set training.clip_norm or a longer warmup"


class NonFinitePolicy(NamedTuple):
    """Action of `NonFiniteGuard` on a non-finite update.

    Attributes:
        action: `stop`, `skip` or `roll_back`.
        locate_batch: `locate_batch()` returns the corpus lines of the last update, as text.
        roll_back: `roll_back()` restores the last checkpoint and returns its number of updates.
    """

    action: str
    locate_batch: Callable[[], str]
    roll_back: Callable[[], int]


class NonFiniteGuard(keras.callbacks.Callback):
    """Checks every update of a model with `update_stats` (see `keras_s2s.models.training_step`).

    An update is non-finite if its loss or a gradient is not finite. The model leaves such an
    update out, so only its batches are lost. Training has diverged if the mean loss of about the
    last 50 updates is above `max_loss` and above twice its lowest value.

    Args:
        progress: the progress of the run, an earlier callback in the list.
        policy: the action on a non-finite update. Diverged training is rolled back or stopped.
        max_loss: a loss that an untrained model does not exceed, such as 2 ln(V).
        log: takes a line for the user.

    Raises:
        UserError: training should not or cannot continue.
    """

    def __init__(
        self,
        progress: TrainingProgress,
        policy: NonFinitePolicy,
        *,
        max_loss: float = math.inf,
        log: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.progress, self.policy, self.max_loss = progress, policy, max_loss
        self.log = log or (lambda text: None)
        self._skips = self._roll_backs = 0
        self._mean: float | None = None
        self._lowest_mean = math.inf

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss, is_applied = self.model.update_stats.read()
        if is_applied:
            self._skips = 0
            self._check_divergence(loss)
            return
        problem = "a gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        lines = self.policy.locate_batch()
        problem = f"update {self.progress.step:,}: {problem}; read from {lines}"
        if self.policy.action == "skip":
            self._skip(problem)
        else:
            self._roll_back(problem, "skip or roll_back continues")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._roll_backs = 0

    def _check_divergence(self, loss: float) -> None:
        mean = loss if self._mean is None else MOMENTUM * self._mean + (1 - MOMENTUM) * loss
        self._mean = mean
        if mean > max(self.max_loss, 2 * self._lowest_mean):
            change = f"a mean loss of {mean:.4g} after {self._lowest_mean:.4g}"
            problem = f"update {self.progress.step:,}: training has diverged, {change}"
            self._roll_back(problem, "roll_back continues from the last checkpoint")
            return
        self._lowest_mean = min(self._lowest_mean, mean)

    def _skip(self, problem: str) -> None:
        self._skips += 1
        if self._skips >= MAX_SKIPS:
            raise UserError(f"{problem}; the last {MAX_SKIPS} updates are all non-finite: {ADVICE}")
        self.log(f"{problem}; skipped")

    def _roll_back(self, problem: str, alternative: str) -> None:
        if self.policy.action != "roll_back":
            raise UserError(f"{problem}; {ADVICE}; training.on_nan: {alternative}")
        self._roll_backs += 1
        if self._roll_backs > MAX_ROLL_BACKS:
            repeated = f"rolled back {MAX_ROLL_BACKS} times since the last validation"
            raise UserError(f"{problem}; {repeated}: {ADVICE}")
        step = self.policy.roll_back()
        self._mean = None if math.isinf(self._lowest_mean) else self._lowest_mean
        self.model.stop_training = False
        self.log(f"{problem}; rolled back to update {step:,}, continuing after this batch")
