"""The best checkpoint of a run, and early stopping."""

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["BestTracker"]


@dataclass(frozen=True)
class BestTracker:
    """Decides which validation is the best, and when to stop waiting for a better one.

    Attributes:
        metric: key of the logs to compare, such as `val_loss`. With None the latest validation is
            the best.
        higher_is_better: whether a higher value of the metric is better.
        patience: number of validations without a better one before training stops; None for no
            limit.

    Example:

    >>> from keras_s2s.callbacks import BestTracker
    >>> BestTracker("val_bleu", higher_is_better=True).is_better(31.0, 30.0)
    True
    """

    metric: str | None = "val_loss"
    higher_is_better: bool = False
    patience: int | None = None

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best value so far, which may be None or NaN."""
        if self.metric is None or best is None or math.isnan(best):
            return True
        return value > best if self.higher_is_better else value < best

    def update(self, state: dict[str, Any], logs: dict[str, Any]) -> bool:
        """Records a validation in the state of `TrainingProgress`.

        Args:
            state: `best`, `best_step` and `waited` are updated.
            logs: logs of the epoch.

        Returns:
            Whether this validation is the best so far.
        """
        value = logs[self.metric] if self.metric else None
        is_best = self.is_better(value, state["best"])
        if is_best:
            state |= {"best": value, "best_step": state["step"], "waited": 0}
        else:
            state["waited"] += 1
        return is_best

    def is_exhausted(self, state: dict[str, Any]) -> bool:
        """Whether the patience is used up."""
        return self.patience is not None and state["waited"] >= self.patience
