"""Positions inside self-attention: relative vectors, biases by distance, rotation."""

from keras_s2s.attention.positions.alibi import AlibiPosition, alibi_slopes
from keras_s2s.attention.positions.base import AttentionPosition
from keras_s2s.attention.positions.bucketed import BucketPosition, distance_buckets
from keras_s2s.attention.positions.factory import ATTENTION_POSITIONS, make_position
from keras_s2s.attention.positions.relative import RelativePosition
from keras_s2s.attention.positions.rotary import RotaryPosition

__all__ = [
    "ATTENTION_POSITIONS",
    "AlibiPosition",
    "AttentionPosition",
    "BucketPosition",
    "RelativePosition",
    "RotaryPosition",
    "alibi_slopes",
    "distance_buckets",
    "make_position",
]
