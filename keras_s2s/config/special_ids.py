"""Ids of the special tokens."""

from typing import NamedTuple

__all__ = ["SpecialIds"]


class SpecialIds(NamedTuple):
    """Ids of the special tokens, the same in every vocabulary trained here.

    Example:

    >>> from keras_s2s.config import SpecialIds
    >>> SpecialIds().end
    3
    """

    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3
