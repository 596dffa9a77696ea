"""The best continuations found by blocks of a vocabulary are those of a search through all."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import search
from keras_s2s.config import SpecialIds
from keras_s2s.search import top_k
from keras_s2s.search.strategies import log_normalizer

LOW = search.NEG_INF
PLACES = [SpecialIds(), SpecialIds(999, 500, 499, 0), SpecialIds(333, 1, 25, 26), SpecialIds(7)]


def both(logits, totals, special, too_short, at_limit):
    """What the two ways find: totals, tokens and parents."""
    size = top_k.block_size(logits.shape[2])
    highest = tf.reduce_max(logits, 2)
    normalizer = log_normalizer(logits, highest)
    bars = top_k.barred(logits.shape[2], special, too_short, at_limit)
    log_probs = logits - normalizer[:, :, None]
    dense = top_k.best_of_all(totals[:, :, None] + log_probs + bars)
    peaks = tf.reduce_max(tf.reshape(logits, [*logits.shape[:2], -1, size]), 3)
    shift = totals - normalizer
    return dense, top_k.best_of_blocks(
        logits, peaks, shift, special, too_short, at_limit, logits.shape[1]
    )


@pytest.mark.parametrize("special", PLACES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1000, 1280, 30_000])
def test_blocks_find_what_all_of_the_vocabulary_holds(size, seed, special):
    random = np.random.default_rng(seed)
    rows, width = 8, 3
    logits = random.normal(0, 2, (rows, width, size)).astype("float32")
    # The special ids are the likeliest of all, so that a bar that lacks is seen.
    logits[:, :, list(special)] += 12.0
    logits[3] -= 9 * (np.arange(size) > size // 2)  # nearly all of the best in a few blocks
    logits[3, :, 60:70] += 20.0
    totals = random.normal(-4, 1, (rows, width)).astype("float32")
    totals[2, 1:] = totals[4] = totals[5, 0] = LOW  # slots without a hypothesis
    too_short = tf.constant([[row % 2 == 1] for row in range(rows)])
    at_limit = tf.constant([[row in (5, 6)] for row in range(rows)])
    given = tf.constant(logits), tf.constant(totals), special, too_short, at_limit
    dense, blocks = both(*given)
    there = dense.totals.numpy() > LOW / 2
    assert there.any(1).tolist() == [row != 4 and row != 5 for row in range(rows)]
    assert there[6].sum() == width  # the end of each hypothesis, and nothing else
    np.testing.assert_array_equal(blocks.totals.numpy() > LOW / 2, there)
    for name in ("tokens", "parents"):
        one, other = (getattr(x, name).numpy() for x in (dense, blocks))
        np.testing.assert_array_equal(other[there], one[there], err_msg=name)
    np.testing.assert_allclose(blocks.totals.numpy()[there], dense.totals.numpy()[there], atol=1e-4)
    tokens = dense.tokens.numpy()
    assert not np.isin(tokens[there], [special.pad, special.start]).any()
    assert (tokens[6][there[6]] == special.end).all()
    assert special.end not in tokens[1][there[1]]
    assert special.end in tokens[0]


def test_which_vocabularies_are_cut():
    assert top_k.block_size(None) is None
    assert top_k.block_size(255) is None
    assert top_k.block_size(1009) is None  # a prime
    for count in (256, 1000, 8000, 16_000, 32_000, 50_257 + 3, 100_000):
        size = top_k.block_size(count)
        assert count % size == 0
        assert 1 < size < count


class Hashed:
    """A model whose logits [V] are the row of a matrix that a number made of all tokens picks."""

    def __init__(self, logits):
        self.logits, self.source = logits, {"mask": tf.ones([5, 2], tf.bool)}

    def begin(self, source, width, most=None):
        return {}, {"code": tf.zeros([tf.shape(source["mask"])[0], width], tf.int32)}

    def step(self, ids, position, context, state, maps="alignment", normalize=True):
        rows = tf.expand_dims(tf.range(tf.shape(ids)[0]), 1)
        code = (state["code"] * 31 + ids * 7 + rows * 13) % tf.shape(self.logits)[0]
        return tf.gather(self.logits, code), {"code": code}, None


@pytest.mark.parametrize("special", PLACES[:3])
def test_a_search_over_a_known_and_an_unknown_vocabulary_is_the_same(special):
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, (97, 1000)).astype("float32")
    logits[:, [special.pad, special.start]] = 9.0
    logits[:, special.end] += 4.0
    sizes, shortest, longest = [1, 2, 5, 8, 3], [0, 3, 1, 0, 0], [9, 6, 12, 3, 0]
    penalty = tf.constant([0.0, 0.6, 1.0, 1.5, 0.6])
    options = search.Options(
        *(tf.constant(x) for x in (sizes, sizes)),
        penalty,
        5.0 + 0.0 * penalty,
        *(tf.constant(x) for x in (shortest, longest)),
    )

    def run(logits):
        model = Hashed(logits)
        step = partial(search.search, special=special, alignment=False)
        return [x for x in step(model.begin, model.step, model.source, options) if x is not None]

    found = {}
    for known in (True, False):
        spec = tf.TensorSpec([97, 1000 if known else None], tf.float32)
        traced = tf.function(run, autograph=False, input_signature=[spec]).get_concrete_function()
        found[known] = [x.numpy() for x in traced(tf.constant(logits))]
    for one, other in zip(found[True], found[False]):
        if one.dtype == np.float32:
            np.testing.assert_allclose(one, other, atol=1e-4)
        else:
            np.testing.assert_array_equal(one, other)
    lengths, scores = found[True][1], found[True][2]
    for row, size in enumerate(sizes):
        count = size if longest[row] else 1
        assert (scores[row] > LOW / 2).tolist() == [True] * count + [False] * (8 - count)
        assert set(lengths[row, :count].tolist()) <= set(range(shortest[row], longest[row] + 1))
