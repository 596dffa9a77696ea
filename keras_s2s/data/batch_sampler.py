"""Bucketed batch sampling: the pairs of every batch, from their lengths alone, in NumPy.

An epoch is a list of batches that is a function of the corpora, the seed and the epoch number.
Batch number N of a training can therefore be computed without reading the batches before it.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

__all__ = [
    "DROPPED",
    "BatchPlan",
    "CorpusIndex",
    "batch_sizes",
    "count_batches",
    "epoch_counts",
    "epoch_of_batch",
    "length_buckets",
    "plan_epoch",
]

DROPPED = 255  # the bucket of a pair that is left out
_GROWTH = 1.15  # ratio of consecutive bucket bounds: little padding, few shapes
_POOL_PAIRS = 1 << 17  # most pairs that are read and shuffled together ...
_POOL_BYTES = 1 << 25  # ... and most bytes of their text


def length_buckets(max_length: int) -> list[int]:
    """Returns the longest length of each bucket, ascending; lengths include the end token.

    Each bound is 15 % above the previous one, or 1 where that is more. The last one is
    `max_length` + 1.

    Example:

    >>> from keras_s2s.data import length_buckets
    >>> length_buckets(9)
    [4, 5, 6, 7, 8, 9, 10]
    """
    bounds = [min(4, max_length + 1)]
    while bounds[-1] < max_length + 1:
        bounds.append(min(max(int(bounds[-1] * _GROWTH), bounds[-1] + 1), max_length + 1))
    return bounds


def batch_sizes(buckets: list[int], batch_tokens: int) -> np.ndarray:
    """Returns the pairs in a batch of each bucket: as many as fit `batch_tokens`, at least 1."""
    return np.maximum(batch_tokens // np.asarray(buckets, np.int64), 1)


class CorpusIndex(NamedTuple):
    """The positions and length buckets of the pairs of one corpus.

    Attributes:
        buckets: uint8 [N], the bucket of each pair, or `DROPPED`.
        offsets: int64 [blocks + 1, files], the position of each block of pairs in each file.
        block_size: Pairs in a block; the last block may have fewer.
        weight: How many times an epoch goes through the pairs that are kept.
        sequential: Whether the blocks can only be read in order.
    """

    buckets: np.ndarray
    offsets: np.ndarray
    block_size: int
    weight: Fraction
    sequential: bool

    def bucket_counts(self, num_buckets: int) -> np.ndarray:
        """Returns the number of pairs kept in each bucket, int64 [buckets]."""
        return np.bincount(self.buckets, minlength=DROPPED + 1)[:num_buckets]


class BatchPlan(NamedTuple):
    """The sizes of batches and the seed of their order.

    Attributes:
        sizes: int64 [buckets], the pairs in a batch of each bucket.
        seed: Of the shuffling, or None to keep the pairs in order.
    """

    sizes: np.ndarray
    seed: int | None


def count_batches(counts: np.ndarray, sizes: np.ndarray) -> int:
    """Returns the batches of an epoch with `counts` [buckets] pairs, mixed batches included."""
    remainder = np.repeat(np.arange(len(sizes)), counts % sizes)
    return int(np.sum(counts // sizes)) + len(_mixed_batches(remainder, sizes))


def epoch_counts(indexes: list[CorpusIndex], counts: np.ndarray, epoch: int) -> np.ndarray:
    """Returns the pairs of each bucket in an epoch, int64 [buckets].

    Epochs differ only where the weight of a corpus is not an integer.

    Args:
        indexes: One index per corpus.
        counts: int64 [corpora, buckets], the pairs of one pass over each corpus.
        epoch: The number of the epoch.
    """
    total = np.zeros(counts.shape[1], np.int64)
    for index, per_bucket in zip(indexes, counts, strict=True):
        total += _drawn_before(index, per_bucket, epoch + 1)
        total -= _drawn_before(index, per_bucket, epoch)
    return total


def _drawn_before(index, counts, epoch):
    """Pairs drawn from each bucket of a corpus before an epoch."""
    return counts * epoch * index.weight.numerator // index.weight.denominator


def epoch_of_batch(
    indexes: list[CorpusIndex], counts: np.ndarray, sizes: np.ndarray, number: int
) -> tuple[int, int]:
    """Returns the epoch of batch `number` of a training, and its position in that epoch."""
    period = math.lcm(*(index.weight.denominator for index in indexes))
    ends = [0]
    while ends[-1] <= number and len(ends) <= period:
        drawn = epoch_counts(indexes, counts, len(ends) - 1)
        ends.append(ends[-1] + count_batches(drawn, sizes))
    # the numbers of batches repeat after `period` epochs
    rounds, number = divmod(number, ends[-1]) if ends[-1] <= number else (0, number)
    epoch = int(np.searchsorted(ends, number, side="right")) - 1
    return rounds * period + epoch, number - ends[epoch]


def plan_epoch(
    indexes: list[CorpusIndex], counts: np.ndarray, plan: BatchPlan, epoch: int, skip: int = 0
) -> Iterator[tuple[np.ndarray, list[np.ndarray], np.ndarray]]:
    """Yields the batches of an epoch from number `skip` on, in steps of one pool of pairs.

    The id of a pair is its position in the concatenation of all corpora. A consumer holds a list
    of ids that starts empty. In each step it appends the new ids, forms the batches, and keeps the
    remaining ids for the next step.

    Args:
        indexes: One index per corpus.
        counts: int64 [corpora, buckets], the pairs of one pass over each corpus.
        plan: The batch sizes and the seed.
        epoch: The number of the epoch.
        skip: Batches to leave out at the start of the epoch.

    Yields:
        `(new, batches, remaining)`: the int64 ids to append; the batches, each an array of
        positions in the held ids; the positions of the ids to keep.
    """
    buckets_of = _bucket_lookup(indexes)
    held, num_loaded = np.zeros(0, np.int64), 0
    for ids in itertools.chain(_pools(indexes, counts, plan.seed, epoch), [None]):
        held = held if ids is None else np.concatenate([held, ids])
        buckets = buckets_of(held)
        if ids is None:  # after the last pool
            batches = _shuffle(_mixed_batches(buckets, plan.sizes), plan.seed, epoch)
            remaining = held[:0]
        else:
            batches, remaining = _full_batches(buckets, plan.sizes)
        if skip < len(batches):
            yield held[num_loaded:], batches[skip:], remaining
            num_loaded, skip = len(remaining), 0
        else:
            skip -= len(batches)
        held = held[remaining]


def _bucket_lookup(indexes) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from ids [N] to their buckets, uint8 [N]."""
    starts = _first_ids(indexes)

    def lookup(ids):
        buckets = np.empty(len(ids), np.uint8)
        corpora = np.searchsorted(starts, ids, side="right") - 1
        for number, index in enumerate(indexes):
            selected = corpora == number
            buckets[selected] = index.buckets[ids[selected] - starts[number]]
        return buckets

    return lookup


def _first_ids(indexes):
    """The id of the first pair of each corpus."""
    return np.cumsum([0] + [len(index.buckets) for index in indexes[:-1]])


def _full_batches(buckets, sizes):
    """Full batches, ordered by the position of their last pair, and the remaining positions."""
    order = np.argsort(buckets, kind="stable")
    counts = np.bincount(buckets, minlength=len(sizes))
    batches, remaining, first = [], [], 0
    for size, count in zip(sizes, counts, strict=True):
        positions = order[first : first + count]
        full = count - count % size
        batches += np.split(positions[:full], range(size, full, size)) if full else []
        remaining.append(positions[full:])
        first += count
    batches.sort(key=lambda batch: batch[-1])
    return batches, np.sort(np.concatenate(remaining))


def _mixed_batches(buckets, sizes):
    """Batches of the pairs that fill no batch of their bucket, from the longest pair down."""
    order = np.argsort(-buckets.astype(np.int64), kind="stable")
    batches, first = [], 0
    while first < len(order):
        size = sizes[buckets[order[first]]]
        batches.append(order[first : first + size])
        first += size
    return batches


def _shuffle(batches, seed, epoch):
    if seed is None:
        return batches
    return [batches[position] for position in _generator(seed, epoch, 1).permutation(len(batches))]


def _generator(*seeds):
    return np.random.default_rng(seeds)


# The order in which an epoch reads blocks


def _pools(indexes, counts, seed, epoch):
    """Ids of the pairs that are read and shuffled together."""
    visits = _visits(indexes, seed, epoch)
    select = _block_selector(indexes, counts, seed, epoch)
    for number, pool in enumerate(np.split(visits, _pool_ends(indexes, visits)), 2):
        ids = np.concatenate([select(*visit) for visit in pool.tolist()])
        yield ids if seed is None else _generator(seed, epoch, number).permutation(ids)


def _visits(indexes, seed, epoch):
    """The blocks that an epoch reads, int64 [visits, (corpus, round, block)]."""
    columns = []
    for corpus, index in enumerate(indexes):
        blocks = len(index.offsets) - 1
        for number in _rounds(index.weight, epoch):
            column = [np.full(blocks, corpus), np.full(blocks, number), np.arange(blocks)]
            columns.append(np.stack(column, axis=1))
    visits = np.concatenate(columns)
    if seed is None:
        return visits
    shuffled = visits[_generator(seed, epoch, 0).permutation(len(visits))]
    for corpus, index in enumerate(indexes):
        if index.sequential:
            shuffled[shuffled[:, 0] == corpus] = visits[visits[:, 0] == corpus]
    return shuffled


def _rounds(weight, epoch):
    """The passes over a corpus, counted from the first epoch, that overlap an epoch."""
    return range(math.floor(epoch * weight), math.ceil((epoch + 1) * weight))


def _pool_ends(indexes, visits):
    ends, pairs, size = [], 0, 0
    for number, (corpus, _, block) in enumerate(visits.tolist()):
        index = indexes[corpus]
        block_bytes = int(np.sum(index.offsets[block + 1] - index.offsets[block]))
        if pairs and (pairs + index.block_size > _POOL_PAIRS or size + block_bytes > _POOL_BYTES):
            ends.append(number)
            pairs, size = 0, 0
        pairs, size = pairs + index.block_size, size + block_bytes
    return ends


def _block_selector(indexes, counts, seed, epoch):
    """Returns a function from (corpus, round, block) to the ids that the epoch uses of it."""
    starts = _first_ids(indexes)
    shares = [
        _EpochShare(index, counts[corpus], (seed, corpus), epoch)
        if index.weight.denominator > 1
        else None
        for corpus, index in enumerate(indexes)
    ]

    def select(corpus, number, block):
        index = indexes[corpus]
        first = block * index.block_size
        buckets = index.buckets[first : first + index.block_size]
        positions = np.flatnonzero(buckets != DROPPED)
        if shares[corpus]:
            positions = positions[shares[corpus].selects(number, block, buckets[positions])]
        return starts[corpus] + first + positions

    return select


class _EpochShare:
    """The pairs of one pass over a corpus that an epoch uses when epochs share the pass.

    Within its bucket, a pair has a rank by its position in the corpus. Each pass permutes the
    ranks, and consecutive epochs use consecutive ranges of the permuted ranks. A pass therefore
    uses every pair once, and no state has to be kept between epochs.
    """

    def __init__(self, index, counts, seed, epoch):
        self.counts, self.seed = counts, seed
        self.drawn = _drawn_before(index, counts, epoch), _drawn_before(index, counts, epoch + 1)
        ends = range(index.block_size, len(index.buckets), index.block_size)
        blocks = np.array_split(index.buckets, ends)
        inside = [np.bincount(block, minlength=DROPPED + 1)[: len(counts)] for block in blocks]
        self.before = np.cumsum([np.zeros(len(counts), np.int64), *inside], axis=0)

    def selects(self, number, block, buckets):
        """Whether the epoch uses each pair of the block, bool [N]."""
        low, high = (np.clip(end - number * self.counts, 0, self.counts) for end in self.drawn)
        factors, shifts = self._permutation(number)
        ranks = self.before[block][buckets] + _occurrences(buckets)
        ranks = (ranks * factors[buckets] + shifts[buckets]) % self.counts[buckets]
        return (ranks >= low[buckets]) & (ranks < high[buckets])

    def _permutation(self, number):
        """An affine permutation of each bucket's ranks: x -> factor x + shift, modulo the count."""
        random = _generator(*self.seed, number, 1)
        factors, shifts = np.ones((2, len(self.counts)), np.int64)
        for bucket, count in enumerate(self.counts.tolist()):
            shifts[bucket] = random.integers(count) if count else 0
            while count > 1:
                factors[bucket] = random.integers(1, count)
                if math.gcd(int(factors[bucket]), count) == 1:
                    break
        return factors, shifts


def _occurrences(values):
    """How often each value [N] occurs before its position."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    firsts = np.searchsorted(ordered, ordered, side="left")
    counts = np.empty(len(values), np.int64)
    counts[order] = np.arange(len(values)) - firsts
    return counts
