"""Corpus statistics: the counts of pairs and tokens, and the index that batches are made from."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_s2s.data.batch_sampler import (
    CorpusIndex,
    batch_sizes,
    count_batches,
    epoch_counts,
    length_buckets,
)

__all__ = [
    "SKIP_REASONS",
    "WEIGHT_DENOMINATOR",
    "CachedCorpus",
    "CorpusCounts",
    "CorpusStatistics",
    "PairLimits",
]

WEIGHT_DENOMINATOR = 1000  # largest denominator of the fraction that a corpus' weight becomes
SKIP_REASONS = {
    "empty": "with an empty side",
    "too_short": "below {min_length} tokens",
    "too_long": "beyond {max_length} tokens",
    "unbalanced": "with a side more than {max_ratio:g} times the other",
    "duplicates": "that stood before",
}


@dataclass(frozen=True)
class PairLimits:
    """The limits that a training pair has to meet; lengths exclude the end token.

    Attributes:
        max_length: Most tokens of a side.
        min_length: Fewest tokens of a side.
        max_ratio: Most tokens of the longer side for each token of the shorter one.
        unique: Whether a pair equal to an earlier one, of any of the corpora, is left out.
    """

    max_length: int
    min_length: int = 1
    max_ratio: float | None = None
    unique: bool = False


@dataclass(frozen=True)
class CorpusCounts:
    """The counts of a corpus. Only `lengths` includes the end token.

    A skipped pair is counted once, for the first reason that applies, in the order below.

    Attributes:
        name: The files.
        pairs: Pairs read.
        empty: Pairs skipped because a side has no tokens.
        too_short: Pairs skipped because a side has fewer tokens than the limit.
        too_long: Pairs skipped because a side has more tokens than the limit.
        unbalanced: Pairs skipped because one side is too long for the other.
        duplicates: Pairs skipped because the same pair occurs earlier.
        longest_source: Most source tokens of any pair, skipped pairs included.
        longest_target: Most target tokens of any pair, skipped pairs included.
        source_tokens: Source tokens of the pairs kept.
        target_tokens: Target tokens of the pairs kept.
        lengths: Number of kept pairs by the length of their longer side, end token included.
    """

    name: str
    pairs: int
    empty: int
    too_short: int
    too_long: int
    unbalanced: int
    duplicates: int
    longest_source: int
    longest_target: int
    source_tokens: int
    target_tokens: int
    lengths: dict[int, int]

    @property
    def kept(self) -> int:
        """Number of pairs that are trained on."""
        return self.pairs - sum(getattr(self, reason) for reason in SKIP_REASONS)


class CachedCorpus(NamedTuple):
    """The location of one corpus' tokenized pairs in the cache.

    Attributes:
        path: A TFRecord file with one record for each block of pairs.
        ends: int64 [blocks + 1], the start of each record, and the end of the last one.
        sums: [blocks], the CRC-32 of each record.
        copy: Whether the examples hold copy ids.
    """

    path: str
    ends: np.ndarray
    sums: np.ndarray
    copy: bool


@dataclass(frozen=True)
class CorpusStatistics(CorpusCounts):
    """The counts of all corpora together, and the index of their pairs.

    Attributes:
        corpora: The counts of each corpus.
        limits: The limits that were applied.
        indexes: The index of each corpus, from which batches are made.
        stamps: (bytes, time of change) of each file when it was read.
        examples: The tokenized pairs of each corpus, where they are in a cache.
    """

    corpora: tuple[CorpusCounts, ...]
    limits: PairLimits
    indexes: tuple[CorpusIndex, ...] = field(repr=False, compare=False)
    stamps: tuple = field(repr=False, compare=False)
    examples: tuple[CachedCorpus, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def max_length(self) -> int:
        """Most tokens of a side, the end token excluded."""
        return self.limits.max_length

    def count_batches(self, batch_tokens: int, epoch: int | None = 0) -> int:
        """Returns the number of batches that `batches` makes of an epoch.

        Args:
            batch_tokens: Most tokens of the longer side in a batch.
            epoch: The number of the epoch; epochs differ only where the weight of a corpus is not
                an integer. None means one pass over every corpus, whatever its weight.
        """
        buckets = length_buckets(self.max_length)
        counts = np.stack([index.bucket_counts(len(buckets)) for index in self.indexes])
        total = counts.sum(axis=0) if epoch is None else epoch_counts(self.indexes, counts, epoch)
        return count_batches(total, batch_sizes(buckets, batch_tokens))

    def skip_reasons(self, counts: CorpusCounts | None = None) -> list[str]:
        """Returns the number of skipped pairs with each reason that occurs.

        Args:
            counts: The counts of one of the corpora; all of them by default.
        """
        limits, counts = dataclasses.asdict(self.limits), counts or self
        skipped = {reason: getattr(counts, reason) for reason in SKIP_REASONS}
        return [f"{n:,} {SKIP_REASONS[r].format(**limits)}" for r, n in skipped.items() if n]

    def describe(self) -> list[str]:
        """Returns the counts as text: a line per corpus with its name, and a line for all."""
        if len(self.corpora) == 1:
            return [self._describe(self)]
        lines = [f"{counts.name}: {self._describe(counts)}" for counts in self.corpora]
        return [*lines, self._describe(self)]

    def _describe(self, counts):
        text = f"{counts.pairs:,} pairs, {counts.target_tokens:,} target tokens"
        reasons = " and ".join(self.skip_reasons(counts))
        return f"{text}; skipped {reasons}" if reasons else text

    def to_dict(self) -> dict[str, Any]:
        """Returns every count by its name, for JSON."""
        values = _count_values(self) | {"corpora": [_count_values(c) for c in self.corpora]}
        return values | {"limits": dataclasses.asdict(self.limits), "max_length": self.max_length}


def _count_values(counts):
    names = [attribute.name for attribute in dataclasses.fields(CorpusCounts)]
    return {name: getattr(counts, name) for name in names} | {"kept": counts.kept}
