"""Keras metrics over logits or frames, and scores of decoded text.

`TokenAccuracy`, `Perplexity`, `MeanAbsoluteError` and `RootMeanSquaredError` are Keras metrics for
`compile(weighted_metrics=...)`. `score` compares hypotheses with references as published results
do; `signatures` describes the settings of each score, to be reported with its value.
"""

from keras_s2s.metrics.feature_metrics import MeanAbsoluteError, RootMeanSquaredError
from keras_s2s.metrics.text_scorers import SCORERS, higher_is_better, score, signatures
from keras_s2s.metrics.token_metrics import Perplexity, TokenAccuracy

__all__ = [
    "SCORERS",
    "MeanAbsoluteError",
    "Perplexity",
    "RootMeanSquaredError",
    "TokenAccuracy",
    "higher_is_better",
    "score",
    "signatures",
]
