"""One pass over corpora that counts what training will find in them, and where."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus, UserError
from keras_s2s.data.duplicates import find_repeated
from keras_s2s.data.files import stamp
from keras_s2s.data.orders import (
    DROPPED,
    Index,
    batch_sizes,
    count_batches,
    epoch_counts,
    length_buckets,
)
from keras_s2s.data.readers import BLOCK, as_list, name, open_rows
from keras_s2s.tokenizers import Tokenizer

__all__ = ["Counts", "Limits", "Survey", "survey"]

_SUMS = ("source_tokens", "target_tokens")
_LONGEST = ("longest_source", "longest_target")
_PARTS = 1000  # a corpus' weight is a fraction of at most so many parts
_REASONS = {
    "empty": "with an empty side",
    "too_short": "below {min_length} tokens",
    "too_long": "beyond {max_length} tokens",
    "unbalanced": "with a side more than {max_ratio:g} times the other",
    "duplicates": "that stood before",
}


@dataclass(frozen=True)
class Limits:
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
class Counts:
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
        return self.pairs - sum(getattr(self, reason) for reason in _REASONS)


@dataclass(frozen=True)
class Survey(Counts):
    """All corpora together: their counts, and where each pair lies.

    Attributes:
        corpora: the counts of each corpus.
        limits: what it was made with.
        indexes: of each corpus, for the batches.
        stamps: (bytes, time of change) of each file when it was read.
    """

    corpora: tuple[Counts, ...]
    limits: Limits
    indexes: tuple[Index, ...] = field(repr=False, compare=False)
    stamps: tuple = field(repr=False, compare=False)

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

    def reasons(self, counts: Counts | None = None) -> list[str]:
        """Why pairs were skipped and how many for each reason, of all corpora or one of them."""
        limits, counts = dataclasses.asdict(self.limits), counts or self
        found = {reason: getattr(counts, reason) for reason in _REASONS}
        return [f"{n:,} {_REASONS[r].format(**limits)}" for r, n in found.items() if n]

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
    names = [one.name for one in dataclasses.fields(Counts)]
    return {name: getattr(counts, name) for name in names} | {"kept": counts.kept}


def survey(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    progress: Callable[[int], None] | None = None,
    *,
    min_length: int = 1,
    max_ratio: float | None = None,
    unique: bool = False,
) -> Survey:
    """Reads corpora once, tokenises them as training does, and counts.

    Args:
        corpora: one corpus or several.
        source, target: tokenizers of the two sides.
        max_length: most pieces of a side in training, the end not counted.
        progress: called now and then with the number of pairs read.
        min_length, max_ratio, unique: see `Limits`.

    Raises:
        UserError: as `read_pairs`.
    """
    corpora = as_list(corpora)
    limits = Limits(max_length, min_length, max_ratio, unique)
    stamps = tuple(stamp(path) for one in corpora for path in open_rows(one).paths)
    repeated = find_repeated(corpora) if unique else itertools.repeat(None)
    tallies, done = [], 0
    for corpus, again in zip(corpora, repeated, strict=False):
        tallies.append(_Tally(corpus, limits, again))
        for lengths in _measure(tallies[-1], source, target):
            done += lengths.shape[1]
            if progress:
                progress(done)
    return _surveyed(tallies, limits, stamps)


def _measure(tally, source, target):
    """Counts a corpus and gives its numbers of pieces, int64 [2, B], block by block."""

    def count(sources, targets):
        return source.pieces(sources).row_lengths(), target.pieces(targets).row_lengths()

    text = tf.TensorSpec([None], tf.string)
    blocks = tf.data.Dataset.from_generator(tally.read, output_signature=(text, text))
    measured = blocks.map(count, tf.data.AUTOTUNE, deterministic=True).prefetch(2)
    for pieces in measured.as_numpy_iterator():
        tally.add(np.stack(pieces))
        yield np.stack(pieces)
    if tally.error:  # raised within the pipeline it would be one of TensorFlow's
        raise tally.error


class _Tally:
    """The running counts of one corpus."""

    def __init__(self, corpus, limits, repeated):
        self.corpus, self.limits, self.repeated = corpus, limits, repeated
        self.rows = open_rows(corpus)
        self.bounds = np.asarray(length_buckets(limits.max_length))
        self.places, self.buckets, self.error = [self.rows.place()], bytearray(), None
        self.totals, self.lengths = Counter(), Counter()
        self.longest = np.zeros(2, np.int64)

    def read(self):
        """Blocks of (sources, targets); notes where each ends."""
        try:
            while block := self.rows.take(BLOCK):
                self.places.append(self.rows.place())
                yield block.sources, block.targets
        except UserError as error:
            self.error = error
        finally:
            self.rows.close()

    def add(self, pieces):
        """Counts one block's numbers of pieces [2, B]."""
        first = len(self.buckets)
        again = None if self.repeated is None else self.repeated[first : first + pieces.shape[1]]
        reasons = _sort_out(*pieces, self.limits, again)
        kept = ~np.any(list(reasons.values()), axis=0)
        longer = pieces.max(axis=0) + 1
        buckets = np.where(kept, np.searchsorted(self.bounds, longer), DROPPED)
        self.buckets.extend(buckets.astype(np.uint8).tobytes())
        self.longest = np.maximum(self.longest, pieces.max(axis=1))
        self.totals["pairs"] += len(kept)
        self.totals.update({reason: int(found.sum()) for reason, found in reasons.items()})
        self.totals.update(dict(zip(_SUMS, pieces[:, kept].sum(axis=1).tolist(), strict=True)))
        self.lengths.update(longer[kept].tolist())

    def counts(self) -> Counts:
        totals = {key: self.totals[key] for key in ("pairs", *_REASONS, *_SUMS)}
        longest = dict(zip(_LONGEST, self.longest.tolist(), strict=True))
        lengths = dict(sorted(self.lengths.items()))
        return Counts(name=name(self.corpus), **totals, **longest, lengths=lengths)

    def index(self) -> Index:
        weight = Fraction(self.corpus.weight).limit_denominator(_PARTS)
        buckets = np.frombuffer(self.buckets, np.uint8)
        return Index(buckets, np.array(self.places), BLOCK, weight, self.rows.sequential)


def _sort_out(sources, targets, limits, repeated):
    """Which of the pairs with these numbers of pieces [B] are skipped, and why: bool [B] each."""
    longer, shorter = np.maximum(sources, targets), np.minimum(sources, targets)
    holds = {
        "empty": shorter == 0,
        "too_short": shorter < limits.min_length,
        "too_long": longer > limits.max_length,
        "unbalanced": longer / np.maximum(shorter, 1) > (limits.max_ratio or np.inf),
        "duplicates": np.zeros(len(longer), bool) if repeated is None else repeated,
    }
    before = np.zeros(len(longer), bool)
    for reason, found in holds.items():
        holds[reason] = found & ~before
        before = before | found
    return holds


def _surveyed(tallies, limits, stamps):
    parts = tuple(tally.counts() for tally in tallies)
    summed = {
        key: sum(getattr(part, key) for part in parts) for key in ("pairs", *_REASONS, *_SUMS)
    }
    longest = {key: max(getattr(part, key) for part in parts) for key in _LONGEST}
    lengths = sum((Counter(part.lengths) for part in parts), Counter())
    return Survey(
        name=name([tally.corpus for tally in tallies]),
        **summed,
        **longest,
        lengths=dict(sorted(lengths.items())),
        corpora=parts,
        limits=limits,
        indexes=tuple(tally.index() for tally in tallies),
        stamps=stamps,
    )
