"""Validation: decode and score, keep the best and the last, stop in time."""

import math
from dataclasses import dataclass

import keras

from keras_s2s.errors import UserError

__all__ = ["BestTracker", "PeriodicCheckpoint", "SwapEMAWeights", "Validation"]


@dataclass(frozen=True)
class BestTracker:
    """What makes a checkpoint the best, and how long to wait for a better one.

    Attributes:
        metric: the key of the logs that decides, such as `val_loss`; None: the latest is the best.
        higher_is_better: of that metric.
        patience: validations without a better metric after which training stops; None: never.
    """

    metric: str | None = "val_loss"
    higher_is_better: bool = False
    patience: int | None = None

    def better(self, value, best) -> bool:
        """Whether `value` beats the best so far; everything beats None and not a number."""
        if self.metric is None or best is None or math.isnan(best):
            return True
        return value > best if self.higher_is_better else value < best


class Validation(keras.callbacks.Callback):
    """After each validation of `fit`: decode and score, save the last and the best, stop in time.

    It ends an epoch whenever the run's updates are a multiple of `every`, so give `fit` more
    `steps_per_epoch` than that. Scores join the epoch's logs as `val_NAME`, with `step`,
    `learning_rate` and `seconds` (of training, over all sessions).

    Args:
        course: the run's, which stands before this in the list of callbacks.
        every: updates between two validations.
        save: `save(state, is_best)` writes checkpoints; `state` is what a later session gets.
        goal: which is the best, and when to give up.
        score: `score()` decodes and gives {name: value}; None for no decoding.
        say: takes a line for the user.

    Raises:
        UserError: the loss is not a number any more; nothing is saved then.
    """

    def __init__(self, course, every, save, *, goal=None, score=None, say=None):
        super().__init__()
        self.course, self.every, self.save, self.score = course, every, save, score
        self.goal, self.say = goal or BestTracker(), say or (lambda text: None)

    def on_train_batch_end(self, batch, logs=None):
        # Keras ends an epoch here, validates, and asks again after `on_epoch_end`
        if self.course.due(self.every):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)
        if self.score is not None:
            logs.update({f"val_{name}": value for name, value in self.score().items()})
        logs["step"] = self.course.step
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = self.course.seconds()
        value = logs[self.goal.metric] if self.goal.metric else None
        is_best = self.goal.better(value, self.course.state["best"])
        self._remember(logs, is_best)
        self.save(self.course.snapshot(), is_best)
        self.say(_summary(logs) + ("; the best so far" if is_best and self.goal.metric else ""))
        if self.exhausted():
            state = self.course.state
            waited = f"{state['waited']} validations without a better {self.goal.metric[4:]}"
            self.say(f"stopped after {waited}; the best was at update {state['best_step']:,}")
        self.model.stop_training = self.course.finished or self.exhausted()

    def exhausted(self) -> bool:
        """Whether patience has run out."""
        patience = self.goal.patience
        return patience is not None and self.course.state["waited"] >= patience

    def _check(self, logs):
        loss = logs.get("loss", 0.0)
        if not math.isfinite(loss):
            advice = "lower training.learning_rate, or set training.clip_norm or a longer warmup"
            raise UserError(f"the loss became {loss} before update {self.course.step:,}; {advice}")

    def _remember(self, logs, is_best):
        state = self.course.state
        figures = {name: float(value) for name, value in logs.items()}
        new = {
            "validations": state["validations"] + 1,
            "figures": figures,
            "waited": 0 if is_best else state["waited"] + 1,
        }
        if is_best:
            new |= {"best": logs.get(self.goal.metric), "best_step": self.course.step}
        state |= new


class SwapEMAWeights(keras.callbacks.Callback):
    """Validates with the running means of the weights (see `Updates.averaged`)."""

    def on_test_begin(self, logs=None):
        self._within = self.model.averaged()
        self._within.__enter__()

    def on_test_end(self, logs=None):
        self._within.__exit__(None, None, None)


class PeriodicCheckpoint(keras.callbacks.Callback):
    """Saves between validations too, so that a cut-off session loses less.

    Args:
        course: the run's.
        every: updates between two checkpoints.
        save: `save(state)` writes one.
    """

    def __init__(self, course, every, save):
        super().__init__()
        self.course, self.every, self.save = course, every, save

    def on_train_batch_end(self, batch, logs=None):
        # at the end of an epoch the validation saves
        if self.course.due(self.every) and not self.model.stop_training:
            self.save(self.course.snapshot(within=True))


def _summary(logs):
    """One line: the validation's figures, or training's where there is none."""
    valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
    side = "validation" if valid else "training"
    known = ("loss", "accuracy", "perplexity")
    chosen = {name: (valid or logs)[name] for name in known if name in (valid or logs)} | valid
    figures = ", ".join(f"{name} {value:.4g}" for name, value in chosen.items())
    return f"update {logs['step']:,}: {side} {figures}"
