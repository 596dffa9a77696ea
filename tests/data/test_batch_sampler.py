"""Batch sampling: counts, weights, seeds and positions of the batches of an epoch."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from keras_s2s.data import batch_sampler
from keras_s2s.data.batch_sampler import DROPPED, BatchPlan, CorpusIndex

SIZES = np.array([7, 5, 3])


def index(count, weight=1, sequential=False, block=16, seed=0):
    """The index of a corpus of 10-byte pairs in three buckets; some are dropped."""
    buckets = np.random.default_rng(seed).choice([0, 1, 2, DROPPED], count, p=[0.5, 0.3, 0.1, 0.1])
    blocks = -(-count // block)
    offsets = np.minimum(np.arange(blocks + 1) * block, count)[:, None] * 10
    return CorpusIndex(buckets.astype(np.uint8), offsets, block, Fraction(weight), sequential)


def counts(indexes):
    return np.stack([corpus.bucket_counts(len(SIZES)) for corpus in indexes])


def batches_of(indexes, epoch, seed=1, skip=0):
    """The ids of each batch, collected from the steps of `plan_epoch`."""
    held, result = np.zeros(0, np.int64), []
    for new, batches, remaining in batch_sampler.plan_epoch(
        indexes, counts(indexes), BatchPlan(SIZES, seed), epoch, skip
    ):
        held = np.concatenate([held, new])
        result += [held[positions].tolist() for positions in batches]
        held = held[remaining]
    return result


def kept_ids(indexes):
    ids, first = [], 0
    for corpus in indexes:
        ids.append((first + np.flatnonzero(corpus.buckets != DROPPED)).tolist())
        first += len(corpus.buckets)
    return ids


@pytest.fixture
def small_pools(monkeypatch):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", 64)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_an_epoch_has_every_pair_once_in_the_counted_number_of_batches(small_pools, seed):
    indexes = [index(300), index(5, seed=1), index(100, sequential=True, seed=2)]
    kept = [i for ids in kept_ids(indexes) for i in ids]
    buckets = np.concatenate([corpus.buckets for corpus in indexes])
    for epoch in range(1 if seed is None else 3):
        batches = batches_of(indexes, epoch, seed)
        assert sorted(i for batch in batches for i in batch) == kept
        expected = batch_sampler.count_batches(counts(indexes).sum(axis=0), SIZES)
        assert len(batches) == expected
        assert all(len(batch) <= SIZES[buckets[batch].max()] for batch in batches)
        mixed = [batch for batch in batches if len(set(buckets[batch])) > 1]
        assert len(mixed) <= 3


def test_the_order_depends_on_seed_and_epoch_only(small_pools):
    indexes = [index(300)]
    orders = {(s, e): str(batches_of(indexes, e, s)) for s in (1, 2) for e in (0, 1)}
    assert len(set(orders.values())) == 4
    assert str(batches_of(indexes, 1, 2)) == orders[2, 1]


@pytest.mark.parametrize("pools", [64, 1 << 17])
def test_an_epoch_starts_at_any_batch(monkeypatch, pools):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", pools)
    indexes = [index(300, 2), index(100, Fraction(1, 2), sequential=True)]
    batches = batches_of(indexes, 1)
    for skip in range(len(batches)):
        assert batches_of(indexes, 1, skip=skip) == batches[skip:]


@pytest.mark.parametrize("weight", [Fraction(1, 3), Fraction(5, 2), Fraction(7, 10), 2, 3])
def test_the_weight_is_the_frequency_of_a_pair_in_an_epoch(small_pools, weight):
    indexes = [index(200, weight), index(50, seed=1)]
    first, second = kept_ids(indexes)
    seen, previous = Counter(), 0
    for epoch in range(10):
        batches = batches_of(indexes, epoch)
        drawn = batch_sampler.epoch_counts(indexes, counts(indexes), epoch)
        assert len(batches) == batch_sampler.count_batches(drawn, SIZES)
        seen.update(i for batch in batches for i in batch)
        share = [seen[i] for i in first]
        assert max(share) - min(share) <= 1  # no pair is repeated before all have been used
        assert sum(share) - previous == pytest.approx(float(weight) * len(first), abs=len(SIZES))
        previous = sum(share)
        assert {seen[i] for i in second} == {epoch + 1}


def test_an_epoch_share_is_spread_over_the_corpus(small_pools):
    (ids,) = kept_ids([index(3000)])
    used = {i for batch in batches_of([index(3000, Fraction(1, 2))], 0) for i in batch}
    halves = [sum(i in used for i in half) for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :])]
    assert min(halves) > 0.35 * sum(halves)


@pytest.mark.parametrize(
    "weights", [(1, 1), (Fraction(1, 3), Fraction(5, 2)), (Fraction(1, 50), 1)]
)
def test_epoch_of_batch_equals_a_walk_over_all_epochs(weights):
    indexes = [index(40, weights[0]), index(25, weights[1], seed=1)]
    per_bucket, walked = counts(indexes), []
    for epoch in range(40):
        drawn = batch_sampler.epoch_counts(indexes, per_bucket, epoch)
        walked += [(epoch, n) for n in range(batch_sampler.count_batches(drawn, SIZES))]
    for start in range(0, len(walked), 7):
        assert batch_sampler.epoch_of_batch(indexes, per_bucket, SIZES, start) == walked[start]


def test_a_pair_of_low_weight_can_be_in_no_batch_of_an_epoch():
    indexes = [index(1, Fraction(1, 4), seed=3)]
    assert counts(indexes).sum() == 1
    assert [len(batches_of(indexes, epoch)) for epoch in range(8)] == [0, 0, 0, 1] * 2
    assert batch_sampler.epoch_of_batch(indexes, counts(indexes), SIZES, 5) == (23, 0)


def test_a_sequential_corpus_is_read_in_order_between_the_others(small_pools):
    indexes = [index(640), index(640, 2, sequential=True)]
    visits = batch_sampler._visits(indexes, 1, 4)
    sequential = visits[visits[:, 0] == 1]
    assert sequential[:, 1:].tolist() == [[r, b] for r in (8, 9) for b in range(40)]
    others = visits[visits[:, 0] == 0][:, 2].tolist()
    assert sorted(others) == list(range(40)) != others
    assert len(set(visits[:30, 0])) == 2


def test_pools_are_limited_in_pairs_and_in_bytes(monkeypatch):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", 64)
    by_pairs = [len(ids) for ids in batch_sampler._pools([index(640)], counts([index(640)]), 1, 0)]
    assert len(by_pairs) == 10
    monkeypatch.setattr(batch_sampler, "_POOL_BYTES", 320)
    by_bytes = [len(ids) for ids in batch_sampler._pools([index(640)], counts([index(640)]), 1, 0)]
    assert len(by_bytes) == 20
    monkeypatch.setattr(batch_sampler, "_POOL_BYTES", 1)  # at least one block
    assert len(list(batch_sampler._pools([index(640)], counts([index(640)]), 1, 0))) == 40
