"""Objectives: functions (x, y, outputs, weights) -> (sum, count), normalised by the model.

`outputs` are the logits [B, T, V'] for `cross_entropy`; for the others a dict that holds them as
`"logits"` and what else they read, see `keras_s2s.objectives`.
"""

from keras_s2s.losses.attention import coverage, guided_alignment
from keras_s2s.losses.contrastive import max_margin, omit_words
from keras_s2s.losses.regularization import l2, r_drop
from keras_s2s.losses.scheduled_sampling import mix_targets, teacher_forcing_probability
from keras_s2s.losses.token_losses import (
    cross_entropy,
    likelihood,
    smoothed_cross_entropy,
    token_log_probs,
)

__all__ = [
    "coverage",
    "cross_entropy",
    "guided_alignment",
    "l2",
    "likelihood",
    "max_margin",
    "mix_targets",
    "omit_words",
    "r_drop",
    "smoothed_cross_entropy",
    "teacher_forcing_probability",
    "token_log_probs",
]
