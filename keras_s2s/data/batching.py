"""A corpus as batches of (x, y, sample_weight): shuffled, bucketed by length, prefetched."""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus, Noise
from keras_s2s.data.alignments import token_alignment, word_indices
from keras_s2s.data.batch_sampler import (
    DROPPED,
    BatchPlan,
    batch_sizes,
    epoch_of_batch,
    length_buckets,
    plan_epoch,
)
from keras_s2s.data.corpus_readers import as_list, corpus_name
from keras_s2s.data.corpus_scan import scan_corpora
from keras_s2s.data.corpus_statistics import CorpusStatistics
from keras_s2s.data.example_stores import (
    CachedExamples,
    TextExamples,
    check_unchanged,
    concat_rows,
    select_rows,
)
from keras_s2s.data.examples import assemble, make_example
from keras_s2s.data.noise import add_noise
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["batches", "longest_batch", "require_pairs"]


def batches(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    *,
    batch_tokens: int,
    max_length: int,
    copy: bool = False,
    seed: int = 1,
    training: bool = True,
    statistics: CorpusStatistics | None = None,
    start: int = 0,
    noise: Noise | None = None,
) -> tf.data.Dataset:
    """Batches of pairs of like length, as `make_example` gives them.

    A batch holds `batch_tokens` // longest pairs, `longest` being that of its bucket (see
    `length_buckets`); what fills no batch of its bucket goes into batches of mixed lengths, one
    of which may be small. Pairs that the survey leaves out are in none.

    With `training` the pairs come shuffled and for ever: give `fit` its `steps_per_epoch`. Every
    `surveyed.count_batches(batch_tokens, epoch)` batches are an epoch, which goes through each
    corpus as many times as its weight says; its order depends on the corpora, the seed and its
    number alone. Pairs of a `.gz` corpus are shuffled among the 131,072 around them, those of other
    files over all. Without, it is one pass in order whose number of batches the dataset knows.
    In training x also holds `alignment`, bool [B, T, S], where a corpus has alignments.

    Args:
        corpora: one corpus or several.
        source, target: tokenizers of the two sides.
        batch_tokens: most tokens of the longer side in a batch, padding included; a pair longer
            than that is a batch of its own.
        max_length: most pieces of a side, the end not counted.
        copy: whether to give copy ids.
        seed: of the shuffling, 0 or more.
        training: whether to shuffle and repeat.
        surveyed: these corpora's survey at this `max_length`; made here where it is not given, so
            that bad input is reported now and not from within `fit`.
        start: batches of the training to pass over: the next is the one that would follow them.
        noise: what is done to the sources in training.

    Raises:
        UserError: as `scan_corpora`, no pair is left, or a file was changed since it was surveyed.
        ValueError: `batch_tokens` or `max_length` below 1, `start` below 0 or without `training`,
            or a survey of another `max_length` or, with a cache, another `copy`.
    """
    corpora = as_list(corpora)
    _check(batch_tokens, max_length, start, training)
    statistics = statistics or scan_corpora(corpora, source, target, max_length)
    _check_survey(statistics, max_length, copy)
    require_pairs(corpora, statistics)
    check_unchanged(corpora, statistics.stamps)
    rows = _Stream(corpora, statistics, batch_tokens, seed if training else None, start)
    made = tf.data.Dataset.from_generator(rows, output_signature=rows.signature())
    noise = (noise, seed) if training and noise not in (None, Noise()) else None
    make = _decode if statistics.examples else _maker(source, target, copy, training, noise)
    made = made.map(make, tf.data.AUTOTUNE, deterministic=True)
    count = (
        tf.data.INFINITE_CARDINALITY if training else statistics.count_batches(batch_tokens, None)
    )
    made = made.apply(tf.data.experimental.assert_cardinality(count))
    return made.prefetch(tf.data.AUTOTUNE)


def longest_batch(
    corpora: Corpus | Sequence[Corpus],
    source: Tokenizer,
    target: Tokenizer,
    *,
    statistics: CorpusStatistics,
    batch_tokens: int,
    copy: bool = False,
) -> tuple:
    """The batch of training that takes most memory: the longest pairs, as many as go together.

    Arguments as for `batches`.

    Returns:
        (x, y, sample_weight) as `make_example` gives them.

    Raises:
        UserError: as `batches`.
    """
    corpora = as_list(corpora)
    require_pairs(corpora, statistics)
    check_unchanged(corpora, statistics.stamps)
    rows = _Stream(corpora, statistics, batch_tokens, None, 0)
    buckets, found = np.concatenate([index.buckets for index in statistics.indexes]), []
    longest = int(buckets[buckets != DROPPED].max())
    for bucket in range(longest, -1, -1):
        missing = int(rows.piles.sizes[longest]) - len(found)
        found += np.flatnonzero(buckets == bucket)[:missing].tolist() if missing else []
    store = rows.open()
    try:
        loaded = store.load(np.array(found))
    finally:
        store.close()
    make = _decode if statistics.examples else _maker(source, target, copy, True)
    return make({key: tf.constant(values) for key, values in loaded.items()})


def _check(batch_tokens, max_length, start, training):
    for argument, value in (("batch_tokens", batch_tokens), ("max_length", max_length)):
        if value < 1:
            raise ValueError(f"{argument}: expected at least 1, came {value}")
    if start < 0 or (start and not training):
        raise ValueError(f"start: expected 0, or more in training, came {start}")


def _check_survey(statistics, max_length, copy):
    if statistics.max_length != max_length:
        expected = f"expected one made with max_length {max_length}"
        raise ValueError(f"surveyed: {expected}, came {surveyed.max_length}")
    if statistics.examples and statistics.examples[0].copy != copy:
        raise ValueError(f"surveyed: expected a cache made with copy={copy}, came the other")


def require_pairs(corpora: Corpus | Sequence[Corpus], statistics: CorpusStatistics) -> None:
    """Refuses corpora of which no pair is left to train on.

    Raises:
        UserError: naming the files and why each pair was skipped.
    """
    if not statistics.kept:
        reasons = " and ".join(statistics.reasons())
        expected = f"expected a pair of 1 to {surveyed.max_length} pieces a side"
        raise UserError(f"{corpus_name(corpora)}: {expected}, came {reasons}")


@dataclasses.dataclass
class _Stream:
    """Calling it gives the rows of one batch after the other, as their store has them."""

    corpora: list[Corpus]
    statistics: CorpusStatistics
    batch_tokens: int
    seed: int | None
    start: int

    def __call__(self):
        store = self.open()
        try:
            for epoch, skip in self._epochs():
                yield from self._epoch(store, epoch, skip)
        finally:
            store.close()

    def signature(self):
        """The specs of one batch's rows by name; all but the weights are bytes."""
        kinds = dict.fromkeys(self.open().names, tf.string) | {"weight": tf.float32}
        return {key: tf.TensorSpec([None], kind) for key, kind in kinds.items()}

    def open(self):
        if self.surveyed.examples:
            return CachedExamples(self.surveyed.examples, self.indexes)
        return TextExamples(self.corpora, self.indexes)

    def __post_init__(self):
        buckets = length_buckets(self.surveyed.max_length)
        self.piles = BatchPlan(batch_sizes(buckets, self.batch_tokens), self.seed)
        self.indexes = list(self.surveyed.indexes)
        if self.seed is None:
            self.indexes = [index._replace(weight=Fraction(1)) for index in self.indexes]
        self.kept = np.stack([index.counts(len(buckets)) for index in self.indexes])

    def _epochs(self):
        if self.seed is None:
            return [(0, 0)]
        first, skip = epoch_of_batch(self.indexes, self.kept, self.piles.sizes, self.start)
        return itertools.chain(
            [(first, skip)], zip(itertools.count(first + 1), itertools.repeat(0))
        )

    def _epoch(self, store, epoch, skip):
        rows = None
        for new, batches, left in plan_epoch(self.indexes, self.kept, self.piles, epoch, skip):
            fresh = store.load(new)
            rows = fresh if rows is None else concat_rows(rows, fresh)
            for places in batches:
                yield select_rows(rows, places)
            rows = select_rows(rows, left)


def _maker(source, target, copy, training, noise=None):
    def make(rows):
        left = source.pieces(rows["source"], sample=training)
        right = target.pieces(rows["target"], sample=training)
        if noise:
            left = add_noise(left, source, *noise)
        x, y, weights = make_example(left, right, source, target, copy, rows["weight"])
        if training and "alignment" in rows:
            words = word_indices(left, source), word_indices(right, target)
            sizes = tf.shape(x["source"]["ids"])[1], tf.shape(y)[1]
            x["alignment"] = token_alignment(rows["alignment"], *words, *sizes)
        return x, y, weights

    return make


def _decode(rows):
    """The example of rows from the cache, whose ids are bytes."""
    made = {"weight": rows["weight"]}
    for key, side in (("ids", "source"), ("labels", "target"), ("copy_ids", "source")):
        if key in rows:
            sizes = tf.strings.length(rows[key])  # in bytes, 4 an id
            made[key] = tf.io.decode_raw(rows[key], tf.int32, fixed_length=tf.reduce_max(sizes))
            made[f"{side}_length"] = sizes // 4
    return assemble(made)
