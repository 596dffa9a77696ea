"""What corpora hold: counts for the reader, and where each pair lies for the batches."""

import dataclasses
from dataclasses import dataclass, field
from typing import NamedTuple

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

WEIGHT_DENOMINATOR = 1000  # a corpus' weight is a fraction of at most so many parts
SKIP_REASONS = {
    "empty": "with an empty side",
    "too_short": "below {min_length} tokens",
    "too_long": "beyond {max_length} tokens",
    "unbalanced": "with a side more than {max_ratio:g} times the other",
    "duplicates": "that stood before",
}


@dataclass(frozen=True)
class PairLimits:
    """What a pair must be like to be trained on; lengths count pieces without the end.

    Attributes:
        max_length, min_length: most and fewest pieces of a side.
        max_ratio: most pieces of the longer side for each of the shorter one.
        unique: whether a pair equal to an earlier one, of any of the corpora, is left out.
    """

    max_length: int
    min_length: int = 1
    max_ratio: float | None = None
    unique: bool = False


@dataclass(frozen=True)
class CorpusCounts:
    """What a corpus holds; lengths count pieces, and the end of a sequence only in `lengths`.

    A pair is skipped for the first reason that holds, in the order of the attributes.

    Attributes:
        name: its files.
        pairs: pairs read.
        empty: pairs skipped because a side has no pieces.
        too_short, too_long: because a side has fewer or more pieces than the limits allow.
        unbalanced: because one side is too long for the other.
        duplicates: because the same pair stood before.
        longest_source, longest_target: most pieces of any pair, skipped ones included.
        source_tokens, target_tokens: pieces of the pairs kept.
        lengths: of the pairs kept, how many have this length of the longer side, end included.
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
        """Pairs that are trained on."""
        return self.pairs - sum(getattr(self, reason) for reason in SKIP_REASONS)


class CachedCorpus(NamedTuple):
    """One corpus' tokenised pairs in the cache.

    Attributes:
        path: a TFRecord file, a record for each block of pairs.
        ends: int64 [blocks + 1], where each record begins, and where the last one ends.
        sums: [blocks], CRC-32 of each record.
        copy: whether they hold copy ids.
    """

    path: str
    ends: np.ndarray
    sums: np.ndarray
    copy: bool


@dataclass(frozen=True)
class CorpusStatistics(CorpusCounts):
    """All corpora together: their counts, and where each pair lies.

    Attributes:
        corpora: the counts of each corpus.
        limits: what it was made with.
        indexes: of each corpus, for the batches.
        stamps: (bytes, time of change) of each file when it was read.
        examples: of each corpus, where the cache holds it.
    """

    corpora: tuple[CorpusCounts, ...]
    limits: PairLimits
    indexes: tuple[CorpusIndex, ...] = field(repr=False, compare=False)
    stamps: tuple = field(repr=False, compare=False)
    examples: tuple[CachedCorpus, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def max_length(self) -> int:
        """Most pieces of a side, the end not counted."""
        return self.limits.max_length

    def count_batches(self, batch_tokens: int, epoch: int | None = 0) -> int:
        """The number of batches that `batches` makes of an epoch; of one plain pass for None.

        Epochs differ only where a corpus' weight is no integer.
        """
        buckets = length_buckets(self.max_length)
        kept = np.stack([index.counts(len(buckets)) for index in self.indexes])
        whole = kept.sum(axis=0) if epoch is None else epoch_counts(self.indexes, kept, epoch)
        return count_batches(whole, batch_sizes(buckets, batch_tokens))

    def reasons(self, counts: CorpusCounts | None = None) -> list[str]:
        """Why pairs were skipped and how many for each reason, of all corpora or one of them."""
        limits, counts = dataclasses.asdict(self.limits), counts or self
        found = {reason: getattr(counts, reason) for reason in SKIP_REASONS}
        return [f"{n:,} {SKIP_REASONS[r].format(**limits)}" for r, n in found.items() if n]

    def describe(self) -> list[str]:
        """What was found: a line for each corpus by its name, and the last one for all of them."""
        if len(self.corpora) == 1:
            return [self._found(self)]
        lines = [f"{counts.name}: {self._found(counts)}" for counts in self.corpora]
        return [*lines, self._found(self)]

    def _found(self, counts):
        text = f"{counts.pairs:,} pairs, {counts.target_tokens:,} target tokens"
        reasons = " and ".join(self.reasons(counts))
        return f"{text}; skipped {reasons}" if reasons else text

    def to_dict(self) -> dict:
        """Every count with its name, for JSON."""
        made = _plain(self) | {"corpora": [_plain(counts) for counts in self.corpora]}
        return made | {"limits": dataclasses.asdict(self.limits), "max_length": self.max_length}


def _plain(counts):
    names = [one.name for one in dataclasses.fields(CorpusCounts)]
    return {name: getattr(counts, name) for name in names} | {"kept": counts.kept}
