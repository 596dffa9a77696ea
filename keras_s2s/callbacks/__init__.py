"""Callbacks of `fit`: progress, validation, checkpoints, curves and recovery.

An epoch is the span between two validations. Callbacks do not depend on the model's class; what
needs the model is passed in as a function. `TrainingProgress` counts the updates of a run and is
first in the list, so that the other callbacks see the update just made. Pass them to `fit` in the
order `TrainingProgress, NonFiniteGuard, ProgressBar, Validation, SwapEMAWeights,
PeriodicCheckpoint, JSONLLogger, TensorBoardLogger`: each adds to an epoch's `logs` what the next
ones read.
"""

from keras_s2s.callbacks.best_tracker import BestTracker
from keras_s2s.callbacks.jsonl_logger import JSONLLogger
from keras_s2s.callbacks.non_finite_guard import NonFiniteGuard, NonFinitePolicy
from keras_s2s.callbacks.periodic_checkpoint import PeriodicCheckpoint
from keras_s2s.callbacks.progress_bar import ProgressBar
from keras_s2s.callbacks.swap_ema_weights import SwapEMAWeights
from keras_s2s.callbacks.target_tokens import TargetTokens
from keras_s2s.callbacks.tensorboard_logger import TensorBoardLogger
from keras_s2s.callbacks.training_progress import TrainingProgress
from keras_s2s.callbacks.validation import Validation

# Names of the first edition, kept importable.
Checkpoint = PeriodicCheckpoint
Course = TrainingProgress
Goal = BestTracker
Guard = NonFiniteGuard
Journal = JSONLLogger
Means = SwapEMAWeights
Progress = ProgressBar
Rescue = NonFinitePolicy
Summaries = TensorBoardLogger
Validate = Validation

__all__ = [
    "BestTracker",
    "Checkpoint",
    "Course",
    "Goal",
    "Guard",
    "JSONLLogger",
    "Journal",
    "Means",
    "NonFiniteGuard",
    "NonFinitePolicy",
    "PeriodicCheckpoint",
    "Progress",
    "ProgressBar",
    "Rescue",
    "Summaries",
    "SwapEMAWeights",
    "TargetTokens",
    "TensorBoardLogger",
    "TrainingProgress",
    "Validate",
    "Validation",
]
