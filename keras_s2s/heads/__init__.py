"""Heads: decoder outputs -> float32 logits of the next token, or the next frame.

Training and every search call a head alike, as `head(outputs, inputs, attention, context)`. Heads
are float32 under every dtype policy: a bfloat16 vocabulary layer selects another token in about
three of a hundred rows.
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
