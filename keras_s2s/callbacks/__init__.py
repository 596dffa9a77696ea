"""What happens around the updates of `fit`: progress, validation, the best and the last, curves.

Nothing here knows the model it watches: what needs one comes in as a callable. One `TrainingProgress` knows
where the run is; it stands first in the list, so that all others see the update just made. Give
them to `fit` in the order `Course, Guard, Progress, Validate, Checkpoint, Journal, Summaries`:
each adds to the `logs` of an epoch what the next ones use. An epoch is what lies between two
validations.
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

__all__ = [
    "BestTracker",
    "JSONLLogger",
    "NonFiniteGuard",
    "NonFinitePolicy",
    "PeriodicCheckpoint",
    "ProgressBar",
    "SwapEMAWeights",
    "TargetTokens",
    "TensorBoardLogger",
    "TrainingProgress",
    "Validation",
]
