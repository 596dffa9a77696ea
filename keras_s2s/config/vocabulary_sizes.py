"""Vocabulary sizes of composite sources."""

from typing import NamedTuple

__all__ = ["FactorSizes", "MultiSourceSize"]


class FactorSizes(NamedTuple):
    """Vocabulary sizes of a source with factors: the word's, then each factor's."""

    sizes: tuple[int, ...]


class MultiSourceSize(NamedTuple):
    """Vocabulary size of a multi-source text.

    Attributes:
        size: entries of the vocabulary that all sources share.
        parts: number of sources.
    """

    size: int
    parts: int
