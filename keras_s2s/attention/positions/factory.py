"""Positions inside self-attention by name."""

from typing import Any

from keras_s2s.attention.positions.alibi import AlibiPosition
from keras_s2s.attention.positions.base import AttentionPosition
from keras_s2s.attention.positions.bucketed import BucketPosition
from keras_s2s.attention.positions.relative import RelativePosition
from keras_s2s.attention.positions.rotary import RotaryPosition

__all__ = ["ATTENTION_POSITIONS", "make_position"]

ATTENTION_POSITIONS = {
    "relative": RelativePosition,
    "t5": BucketPosition,
    "rotary": RotaryPosition,
    "alibi": AlibiPosition,
}


def make_position(
    kind: str, num_heads: int, size: int, causal: bool, dtype: Any, **options: Any
) -> AttentionPosition:
    """Makes an `AttentionPosition` by name.

    Args:
        kind: one of `ATTENTION_POSITIONS`.
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d].
        dtype: dtype policy.
        **options: arguments of the class.

    Raises:
        ValueError: for options that the class does not have.

    Example:

    >>> from keras_s2s.attention.positions import make_position
    >>> make_position("relative", 2, 4, True, "float32", max_distance=8).max_distance
    8
    """
    return ATTENTION_POSITIONS[kind](num_heads, size, causal, dtype=dtype, **options)
