"""Orders of batches: every pair as often as its weight says, from any batch on, any seed."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from keras_s2s.data import batch_sampler
from keras_s2s.data.batch_sampler import DROPPED, BatchPlan, CorpusIndex

SIZES = np.array([7, 5, 3])


def index(count, weight=1, sequential=False, block=16, seed=0):
    """A corpus of pairs in three buckets and some that are left out; 10 bytes each."""
    buckets = np.random.default_rng(seed).choice([0, 1, 2, DROPPED], count, p=[0.5, 0.3, 0.1, 0.1])
    blocks = -(-count // block)
    places = np.minimum(np.arange(blocks + 1) * block, count)[:, None] * 10
    return CorpusIndex(buckets.astype(np.uint8), places, block, Fraction(weight), sequential)


def counts(indexes):
    return np.stack([one.counts(len(SIZES)) for one in indexes])


def batches_of(indexes, epoch, seed=1, skip=0):
    """The ids of each batch, put together as the steps say."""
    held, made = np.zeros(0, np.int64), []
    for new, batches, left in batch_sampler.plan_epoch(
        indexes, counts(indexes), BatchPlan(SIZES, seed), epoch, skip
    ):
        held = np.concatenate([held, new])
        made += [held[places].tolist() for places in batches]
        held = held[left]
    return made


def kept_ids(indexes):
    found, first = [], 0
    for one in indexes:
        found.append((first + np.flatnonzero(one.buckets != DROPPED)).tolist())
        first += len(one.buckets)
    return found


@pytest.fixture
def small_pools(monkeypatch):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", 64)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_an_epoch_has_every_pair_once_and_as_many_batches_as_counted(small_pools, seed):
    indexes = [index(300), index(5, seed=1), index(100, sequential=True, seed=2)]
    kept = [i for ids in kept_ids(indexes) for i in ids]
    buckets = np.concatenate([one.buckets for one in indexes])
    for epoch in range(1 if seed is None else 3):
        made = batches_of(indexes, epoch, seed)
        assert sorted(i for batch in made for i in batch) == kept
        expected = batch_sampler.count_batches(counts(indexes).sum(axis=0), SIZES)
        assert len(made) == expected
        assert all(len(batch) <= SIZES[buckets[batch].max()] for batch in made)
        mixed = [batch for batch in made if len(set(buckets[batch])) > 1]
        assert len(mixed) <= 3


def test_orders_differ_by_seed_and_epoch_and_by_nothing_else(small_pools):
    indexes = [index(300)]
    orders_found = {(s, e): str(batches_of(indexes, e, s)) for s in (1, 2) for e in (0, 1)}
    assert len(set(orders_found.values())) == 4
    assert str(batches_of(indexes, 1, 2)) == orders_found[2, 1]


@pytest.mark.parametrize("pools", [64, 1 << 17])
def test_an_epoch_goes_on_from_any_batch(monkeypatch, pools):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", pools)
    indexes = [index(300, 2), index(100, Fraction(1, 2), sequential=True)]
    whole = batches_of(indexes, 1)
    for skip in range(len(whole)):
        assert batches_of(indexes, 1, skip=skip) == whole[skip:]


@pytest.mark.parametrize("weight", [Fraction(1, 3), Fraction(5, 2), Fraction(7, 10), 2, 3])
def test_a_weight_is_how_often_an_epoch_shows_a_pair(small_pools, weight):
    indexes = [index(200, weight), index(50, seed=1)]
    first, second = kept_ids(indexes)
    seen, before = Counter(), 0
    for epoch in range(10):
        made = batches_of(indexes, epoch)
        wanted = batch_sampler.epoch_counts(indexes, counts(indexes), epoch)
        assert len(made) == batch_sampler.count_batches(wanted, SIZES)
        seen.update(i for batch in made for i in batch)
        share = [seen[i] for i in first]
        assert max(share) - min(share) <= 1  # nobody comes again before everybody has come
        assert sum(share) - before == pytest.approx(float(weight) * len(first), abs=len(SIZES))
        before = sum(share)
        assert {seen[i] for i in second} == {epoch + 1}


def test_shares_of_a_corpus_are_spread_over_it(small_pools):
    (ids,) = kept_ids([index(3000)])
    taken = {i for batch in batches_of([index(3000, Fraction(1, 2))], 0) for i in batch}
    halves = [
        sum(i in taken for i in half) for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :])
    ]
    assert min(halves) > 0.35 * sum(halves)


@pytest.mark.parametrize(
    "weights", [(1, 1), (Fraction(1, 3), Fraction(5, 2)), (Fraction(1, 50), 1)]
)
def test_locate_is_the_walk_over_all_epochs(weights):
    indexes = [index(40, weights[0]), index(25, weights[1], seed=1)]
    kept, walked = counts(indexes), []
    for epoch in range(40):
        drawn = batch_sampler.epoch_counts(indexes, kept, epoch)
        walked += [(epoch, n) for n in range(batch_sampler.count_batches(drawn, SIZES))]
    for start in range(0, len(walked), 7):
        assert batch_sampler.epoch_of_batch(indexes, kept, SIZES, start) == walked[start]


def test_a_rare_pair_may_be_in_no_batch_of_an_epoch():
    indexes = [index(1, Fraction(1, 4), seed=3)]
    assert counts(indexes).sum() == 1
    assert [len(batches_of(indexes, epoch)) for epoch in range(8)] == [0, 0, 0, 1] * 2
    assert batch_sampler.epoch_of_batch(indexes, counts(indexes), SIZES, 5) == (23, 0)


def test_a_sequential_corpus_is_read_in_order_among_the_others(small_pools):
    indexes = [index(640), index(640, 2, sequential=True)]
    visits = batch_sampler._visits(indexes, 1, 4)
    ours = visits[visits[:, 0] == 1]
    assert ours[:, 1:].tolist() == [[r, b] for r in (8, 9) for b in range(40)]
    others = visits[visits[:, 0] == 0][:, 2].tolist()
    assert sorted(others) == list(range(40)) != others
    assert len(set(visits[:30, 0])) == 2


def test_pools_are_bounded_in_pairs_and_in_bytes(monkeypatch):
    monkeypatch.setattr(batch_sampler, "_POOL_PAIRS", 64)
    by_pairs = [len(ids) for ids in batch_sampler._pools([index(640)], counts([index(640)]), 1, 0)]
    assert len(by_pairs) == 10
    monkeypatch.setattr(batch_sampler, "_POOL_BYTES", 320)
    by_bytes = [len(ids) for ids in batch_sampler._pools([index(640)], counts([index(640)]), 1, 0)]
    assert len(by_bytes) == 20
    monkeypatch.setattr(batch_sampler, "_POOL_BYTES", 1)  # never less than a block
    assert len(list(batch_sampler._pools([index(640)], counts([index(640)]), 1, 0))) == 40
