"""Heads: decoder outputs -> float32 logits over what may come next.

A head is called as `head(outputs, inputs, attention, context)` by training and by every search
alike. Heads are float32 whatever the policy: a bfloat16 vocabulary layer picks another token in
some three of a hundred rows.
"""

from keras_s2s.heads.adaptive_softmax import AdaptiveSoftmaxHead
from keras_s2s.heads.base import Head
from keras_s2s.heads.copying import copy_distribution, spread_over_source
from keras_s2s.heads.pointer_generator import PointerGeneratorHead
from keras_s2s.heads.pointer_network import PointerNetworkHead
from keras_s2s.heads.regression import LOSSES, RegressionHead
from keras_s2s.heads.softmax import SoftmaxHead
from keras_s2s.heads.softmax_normalizer import log_normalizer

__all__ = [
    "LOSSES",
    "AdaptiveSoftmaxHead",
    "Head",
    "PointerGeneratorHead",
    "PointerNetworkHead",
    "RegressionHead",
    "SoftmaxHead",
    "copy_distribution",
    "log_normalizer",
    "spread_over_source",
]
