"""Which lines of the corpora one batch of training was made of."""

from collections.abc import Sequence

import numpy as np

from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import (
    BatchPlan,
    batch_sizes,
    epoch_of_batch,
    length_buckets,
    plan_epoch,
)
from keras_s2s.data.corpus_readers import as_list, corpus_name
from keras_s2s.data.corpus_statistics import CorpusStatistics

__all__ = ["find_lines"]


def find_lines(
    corpora: Corpus | Sequence[Corpus],
    statistics: CorpusStatistics,
    number: int,
    *,
    batch_tokens: int,
    seed: int,
) -> dict[str, list[int]]:
    """The line numbers, from 1, of batch `number` of training, by the name of their corpus.

    Found from the order alone: no text is read. Arguments as for `batches`.
    """
    buckets = length_buckets(statistics.max_length)
    piles, indexes = BatchPlan(batch_sizes(buckets, batch_tokens), seed), list(statistics.indexes)
    kept = np.stack([index.counts(len(buckets)) for index in indexes])
    epoch, skip = epoch_of_batch(indexes, kept, piles.sizes, number)
    held = np.zeros(0, np.int64)
    for new, batches, left in plan_epoch(indexes, kept, piles, epoch, skip):
        held = np.concatenate([held, new])
        if batches:
            return _by_corpus(as_list(corpora), indexes, held[batches[0]])
        held = held[left]
    raise ValueError(f"number: expected a batch of the training, came {number}")


def _by_corpus(corpora, indexes, ids):
    found, first = {}, 0
    for corpus, index in zip(corpora, indexes, strict=True):
        mine = ids[(ids >= first) & (ids < first + len(index.buckets))]
        if len(mine):
            found[corpus_name(corpus)] = (np.sort(mine) - first + 1).tolist()
        first += len(index.buckets)
    return found
