"""Metrics of training, on logits or frames, and scores of decoded text, on lines.

`TokenAccuracy` and `Perplexity` are Keras metrics for `compile(weighted_metrics=...)`. `score`
compares hypotheses with references the way papers do; `signatures` says how, in the words that
belong beside a published figure.
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
