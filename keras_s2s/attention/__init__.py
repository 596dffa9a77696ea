"""Attention over a memory or a sequence: pure functions, and layers that use them.

Weights are float32 whatever the dtype policy. The weights of a row without any real token are
zero, so an empty row gives zeros and no NaN.
"""

from keras_s2s.attention.additive import AdditiveAttention
from keras_s2s.attention.coverage import CoverageAttention
from keras_s2s.attention.dot import DotAttention
from keras_s2s.attention.factory import ATTENTIONS, make_attention
from keras_s2s.attention.functions import (
    additive_mask,
    additive_scores,
    dot_product_attention,
    masked_softmax,
    merge_heads,
    places,
    split_heads,
)
from keras_s2s.attention.gated import GatedAttention
from keras_s2s.attention.linear import LinearAttention
from keras_s2s.attention.local import LocalAttention
from keras_s2s.attention.location import LocationAttention
from keras_s2s.attention.memory_attention import MemoryAttention
from keras_s2s.attention.monotonic import MonotonicAttention
from keras_s2s.attention.multi_head import CrossAttention, SelfAttention
from keras_s2s.attention.multi_head_memory import MultiHeadAttention
from keras_s2s.attention.no_attention import NoAttention

__all__ = [
    "ATTENTIONS",
    "AdditiveAttention",
    "CoverageAttention",
    "CrossAttention",
    "DotAttention",
    "GatedAttention",
    "LinearAttention",
    "LocalAttention",
    "LocationAttention",
    "MemoryAttention",
    "MonotonicAttention",
    "MultiHeadAttention",
    "NoAttention",
    "SelfAttention",
    "additive_mask",
    "additive_scores",
    "dot_product_attention",
    "make_attention",
    "masked_softmax",
    "merge_heads",
    "places",
    "split_heads",
]
