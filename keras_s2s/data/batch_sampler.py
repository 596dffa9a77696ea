"""Which pairs make which batch, from the length class of every pair alone: NumPy, no text.

An epoch is a list of batches that depends on the corpora, the seed and its number, so the N-th
batch of training can be found without making the ones before it.
"""

import itertools
import math
from collections.abc import Iterator
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
_GROWTH = 1.15  # of one bucket's longest pair over the last one's: little padding, few shapes
_POOL_PAIRS = 1 << 17  # read and shuffled together ...
_POOL_BYTES = 1 << 25  # ... or fewer of them, where their text is longer than this


def length_buckets(max_length: int) -> list[int]:
    """The longest length of each bucket, rising; lengths count the end of a sequence too.

    Each is 15 % above the one before, or 1 where that is more; the last is `max_length` + 1.
    """
    bounds = [min(4, max_length + 1)]
    while bounds[-1] < max_length + 1:
        bounds.append(min(max(int(bounds[-1] * _GROWTH), bounds[-1] + 1), max_length + 1))
    return bounds


def batch_sizes(buckets: list[int], batch_tokens: int) -> np.ndarray:
    """Pairs in a batch of each bucket: what fits into `batch_tokens`, and never none."""
    return np.maximum(batch_tokens // np.asarray(buckets, np.int64), 1)


class CorpusIndex(NamedTuple):
    """Where the pairs of one corpus lie and how long they are.

    Attributes:
        buckets: uint8 [N], the bucket of each pair, or `DROPPED`.
        places: int64 [blocks + 1, files], where each block of `block` pairs begins in each file.
        block: pairs in a block; the last one may have fewer.
        weight: how many times an epoch goes through the pairs that are kept.
        sequential: whether its blocks can only be read in order.
    """

    buckets: np.ndarray
    places: np.ndarray
    block: int
    weight: Fraction
    sequential: bool

    def counts(self, number_of_buckets: int) -> np.ndarray:
        """How many pairs are kept in each bucket, int64 [buckets]."""
        return np.bincount(self.buckets, minlength=DROPPED + 1)[:number_of_buckets]


class BatchPlan(NamedTuple):
    """How batches are piled up.

    Attributes:
        sizes: int64 [buckets], the pairs in a batch of each bucket.
        seed: of the shuffling, or None to leave the pairs in order.
    """

    sizes: np.ndarray
    seed: int | None


def count_batches(counts: np.ndarray, sizes: np.ndarray) -> int:
    """Batches of an epoch with `counts` [buckets] pairs: full ones, then what `_pack` makes."""
    left = np.repeat(np.arange(len(sizes)), counts % sizes)
    return int(np.sum(counts // sizes)) + len(_packs(left, sizes))


def epoch_counts(indexes: list[CorpusIndex], kept: np.ndarray, epoch: int) -> np.ndarray:
    """Pairs of each bucket in an epoch, int64 [buckets]; `kept` [corpora, buckets] is one pass's.

    They differ between epochs where a weight is no integer.
    """
    drawn = np.zeros(kept.shape[1], np.int64)
    for index, counts in zip(indexes, kept, strict=True):
        drawn += _drawn(index, counts, epoch + 1) - _drawn(index, counts, epoch)
    return drawn


def _drawn(index, counts, epoch):
    """Pairs drawn from each bucket of a corpus before this epoch."""
    return counts * epoch * index.weight.numerator // index.weight.denominator


def epoch_of_batch(indexes: list[CorpusIndex], kept: np.ndarray, sizes: np.ndarray, start: int):
    """(epoch, batches of it to pass over) of batch number `start` of an endless training."""
    period = math.lcm(*(index.weight.denominator for index in indexes))
    ends = [0]
    while ends[-1] <= start and len(ends) <= period:
        counts = epoch_counts(indexes, kept, len(ends) - 1)
        ends.append(ends[-1] + count_batches(counts, sizes))
    # after `period` epochs their numbers of batches come round again
    rounds, start = divmod(start, ends[-1]) if ends[-1] <= start else (0, start)
    epoch = int(np.searchsorted(ends, start, side="right")) - 1
    return rounds * period + epoch, start - ends[epoch]


def plan_epoch(
    indexes: list[CorpusIndex], kept: np.ndarray, piles: BatchPlan, epoch: int, skip: int = 0
) -> Iterator[tuple]:
    """The batches of an epoch from number `skip` on, piled up while ids are read.

    Yields:
        (new, batches, left): int64 ids to read, to be put behind the pairs that were left before;
        the batches that can be made of both, each an array of places in them; and the places of
        the pairs left for later. An id is a pair's place in all corpora, one after the other.
    """
    buckets_of = _finder(indexes)
    held, read = np.zeros(0, np.int64), 0
    for ids in itertools.chain(_pools(indexes, kept, piles.seed, epoch), [None]):
        held = held if ids is None else np.concatenate([held, ids])
        buckets = buckets_of(held)
        if ids is None:
            batches, left = _shuffled(_packs(buckets, piles.sizes), piles.seed, epoch), held[:0]
        else:
            batches, left = _cut(buckets, piles.sizes)
        if skip < len(batches):
            yield held[read:], batches[skip:], left
            read, skip = len(left), 0
        else:
            skip -= len(batches)
        held = held[left]


def _finder(indexes):
    """A function of ids [N] that gives their buckets, uint8 [N]."""
    starts = _starts(indexes)

    def find(ids):
        found = np.empty(len(ids), np.uint8)
        owners = np.searchsorted(starts, ids, side="right") - 1
        for number, index in enumerate(indexes):
            mine = owners == number
            found[mine] = index.buckets[ids[mine] - starts[number]]
        return found

    return find


def _starts(indexes):
    """The id of each corpus' first pair."""
    return np.cumsum([0] + [len(index.buckets) for index in indexes[:-1]])


def _cut(buckets, sizes):
    """Full batches of pairs in order, by when they fill up, and the places of what is left."""
    order = np.argsort(buckets, kind="stable")
    counts = np.bincount(buckets, minlength=len(sizes))
    batches, left, first = [], [], 0
    for size, count in zip(sizes, counts, strict=True):
        mine = order[first : first + count]
        whole = count - count % size
        batches += np.split(mine[:whole], range(size, whole, size)) if whole else []
        left.append(mine[whole:])
        first += count
    batches.sort(key=lambda batch: batch[-1])
    return batches, np.sort(np.concatenate(left))


def _packs(buckets, sizes):
    """Batches of pairs that fill no batch of their bucket: the longest together, and so on."""
    order = np.argsort(-buckets.astype(np.int64), kind="stable")
    batches, first = [], 0
    while first < len(order):
        size = sizes[buckets[order[first]]]
        batches.append(order[first : first + size])
        first += size
    return batches


def _shuffled(batches, seed, epoch):
    if seed is None:
        return batches
    return [batches[place] for place in _random(seed, epoch, 1).permutation(len(batches))]


def _random(*numbers):
    return np.random.default_rng(numbers)


# What an epoch reads


def _pools(indexes, kept, seed, epoch):
    """Ids of pairs that are read and shuffled together."""
    visits = _visits(indexes, seed, epoch)
    pick = _picker(indexes, kept, seed, epoch)
    for number, pool in enumerate(np.split(visits, _pool_ends(indexes, visits)), 2):
        ids = np.concatenate([pick(*visit) for visit in pool.tolist()])
        yield ids if seed is None else _random(seed, epoch, number).permutation(ids)


def _visits(indexes, seed, epoch):
    """The blocks an epoch reads, int64 [visits, (corpus, round, block)]."""
    every = []
    for corpus, index in enumerate(indexes):
        blocks = len(index.places) - 1
        for number in _rounds(index.weight, epoch):
            row = [np.full(blocks, corpus), np.full(blocks, number), np.arange(blocks)]
            every.append(np.stack(row, axis=1))
    visits = np.concatenate(every)
    if seed is None:
        return visits
    shuffled = visits[_random(seed, epoch, 0).permutation(len(visits))]
    for corpus, index in enumerate(indexes):
        if index.sequential:
            shuffled[shuffled[:, 0] == corpus] = visits[visits[:, 0] == corpus]
    return shuffled


def _rounds(weight, epoch):
    """The passes over a corpus, counted from the first epoch, that this one takes part in."""
    return range(math.floor(epoch * weight), math.ceil((epoch + 1) * weight))


def _pool_ends(indexes, visits):
    ends, pairs, size = [], 0, 0
    for number, (corpus, _, block) in enumerate(visits.tolist()):
        index = indexes[corpus]
        more = int(np.sum(index.places[block + 1] - index.places[block]))
        if pairs and (pairs + index.block > _POOL_PAIRS or size + more > _POOL_BYTES):
            ends.append(number)
            pairs, size = 0, 0
        pairs, size = pairs + index.block, size + more
    return ends


def _picker(indexes, kept, seed, epoch):
    """A function of (corpus, round, block) that gives the ids which the epoch takes from it."""
    starts = _starts(indexes)
    shares = [
        _Share(index, kept[corpus], (seed, corpus), epoch) if index.weight.denominator > 1 else None
        for corpus, index in enumerate(indexes)
    ]

    def pick(corpus, number, block):
        index = indexes[corpus]
        first = block * index.block
        buckets = index.buckets[first : first + index.block]
        places = np.flatnonzero(buckets != DROPPED)
        if shares[corpus]:
            places = places[shares[corpus].takes(number, block, buckets[places])]
        return starts[corpus] + first + places

    return pick


class _Share:
    """Which pairs of a corpus an epoch takes from a round that it shares with other epochs.

    Within its bucket a pair has a rank by its place in the corpus. Each round puts the ranks into
    an order of its own, and the epochs take one stretch of it after the other: so a round goes
    through every pair once, and nothing has to be remembered.
    """

    def __init__(self, index, counts, seed, epoch):
        self.counts, self.seed, self.step = counts, seed, index.block
        self.drawn = _drawn(index, counts, epoch), _drawn(index, counts, epoch + 1)
        blocks = np.array_split(index.buckets, range(index.block, len(index.buckets), index.block))
        inside = [np.bincount(block, minlength=DROPPED + 1)[: len(counts)] for block in blocks]
        self.before = np.cumsum([np.zeros(len(counts), np.int64), *inside], axis=0)

    def takes(self, number, block, buckets):
        """Whether each pair of the block is taken, bool [N]."""
        low, high = (np.clip(end - number * self.counts, 0, self.counts) for end in self.drawn)
        factors, shifts = self._order(number)
        ranks = self.before[block][buckets] + _occurrences(buckets)
        places = (ranks * factors[buckets] + shifts[buckets]) % self.counts[buckets]
        return (places >= low[buckets]) & (places < high[buckets])

    def _order(self, number):
        """An affine permutation of each bucket's ranks: x -> factor x + shift, modulo the count."""
        random = _random(*self.seed, number, 1)
        factors, shifts = np.ones((2, len(self.counts)), np.int64)
        for bucket, count in enumerate(self.counts.tolist()):
            shifts[bucket] = random.integers(count) if count else 0
            while count > 1:
                factors[bucket] = random.integers(1, count)
                if math.gcd(int(factors[bucket]), count) == 1:
                    break
        return factors, shifts


def _occurrences(values):
    """How often each value [N] stands before its place."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    firsts = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - firsts
    return found
