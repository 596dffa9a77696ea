"""Updates that are not numbers and training that diverges: named, and survived if so wished."""

import math
from typing import NamedTuple

import keras

from keras_s2s.errors import UserError

__all__ = ["NonFiniteGuard", "NonFinitePolicy"]

SKIPS = 10  # in a row: then it is no single batch
ROLL_BACKS = 3  # without a validation in between
SLOW = 0.98  # share of the old in the running mean of the loss
ADVICE = "lower training.learning_rate, or set training.clip_norm or a longer warmup"


class NonFinitePolicy(NamedTuple):
    """What `NonFiniteGuard` does about a bad update.

    Attributes:
        how: `stop`, `skip` or `roll_back`.
        blame: `blame()` names the lines of the corpus that the last update was made of.
        roll_back: puts the last checkpoint back, and gives its update.
    """

    how: str
    blame: callable
    roll_back: callable


class NonFiniteGuard(keras.callbacks.Callback):
    """Watches every update of a model with `vitals` (see `keras_s2s.updates`).

    A bad update is one whose loss or gradients are not finite; it was left out, and nothing but
    its batches is lost. Training has diverged when the mean loss of about the last 50 updates is
    above `hopeless` and twice the best there was.

    Args:
        course: the run's; stands before this in the list of callbacks.
        rescue: stop at a bad update, or go on without it, or from the last checkpoint. Diverged
            training can only go back or stop.
        hopeless: a loss that a model which knows nothing stays below, such as 2 ln(V).
        say: takes a line for the user.

    Raises:
        UserError: when training should not or cannot go on.
    """

    def __init__(self, course, rescue, *, hopeless=math.inf, say=None):
        super().__init__()
        self.course, self.rescue, self.hopeless = course, rescue, hopeless
        self.say = say or (lambda text: None)
        self._skipped = self._rolled_back = 0
        self._mean, self._best = None, math.inf

    def on_train_batch_end(self, batch, logs=None):
        loss, made = self.model.update_stats.read()
        if made:
            self._skipped = 0
            self._follow(loss)
            return
        what = "a gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        what = f"update {self.course.step:,}: {what}; made of {self.rescue.blame()}"
        if self.rescue.how == "skip":
            self._skip(what)
        else:
            self._go_back(what, "skip or roll_back goes on by itself")

    def on_epoch_end(self, epoch, logs=None):
        self._rolled_back = 0

    def _follow(self, loss):
        self._mean = loss if self._mean is None else SLOW * self._mean + (1 - SLOW) * loss
        if self._mean > max(self.hopeless, 2 * self._best):
            was = f"a mean loss of {self._mean:.4g} after {self._best:.4g}"
            what = f"update {self.course.step:,}: training has diverged, {was}"
            self._go_back(what, "roll_back goes back by itself")
            return
        self._best = min(self._best, self._mean)

    def _skip(self, what):
        self._skipped += 1
        if self._skipped >= SKIPS:
            raise UserError(f"{what}; the last {SKIPS} updates all were like that: {ADVICE}")
        self.say(f"{what}; skipped")

    def _go_back(self, what, otherwise):
        if self.rescue.how != "roll_back":
            raise UserError(f"{what}; {ADVICE}; training.on_nan: {otherwise}")
        self._rolled_back += 1
        if self._rolled_back > ROLL_BACKS:
            raise UserError(f"{what}; {ROLL_BACKS} times back to the last checkpoint: {ADVICE}")
        step = self.rescue.roll_back()
        self._mean = None if math.isinf(self._best) else self._best
        self.model.stop_training = False
        self.say(f"{what}; back to update {step:,}, and past this batch")
