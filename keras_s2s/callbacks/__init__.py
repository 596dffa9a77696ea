"""What happens around the updates of `fit`: progress, validation, the best and the last, curves.

Nothing here knows the model it watches: what needs one comes in as a callable. One `Course` knows
where the run is; it stands first in the list, so that all others see the update just made. Give
them to `fit` in the order `Course, Guard, Progress, Validate, Checkpoint, Journal, Summaries`:
each adds to the `logs` of an epoch what the next ones use. An epoch is what lies between two
validations.
"""

from keras_s2s.callbacks.loggers import Journal, Summaries
from keras_s2s.callbacks.non_finite_guard import Guard, Rescue
from keras_s2s.callbacks.progress_bar import Progress, TargetTokens
from keras_s2s.callbacks.training_progress import Course
from keras_s2s.callbacks.validation import Checkpoint, Goal, Means, Validate

__all__ = [
    "Checkpoint",
    "Course",
    "Goal",
    "Guard",
    "Journal",
    "Means",
    "Progress",
    "Rescue",
    "Summaries",
    "TargetTokens",
    "Validate",
]
