"""The corpus lines that one training batch consists of."""

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
    """Returns the line numbers of a training batch, by the name of their corpus.

    The lines follow from the order of batches alone: no text is read.

    Args:
        corpora: One corpus or several.
        statistics: The statistics of these corpora.
        number: The number of the batch, from 0 for the first batch of the training.
        batch_tokens: As for `batches`.
        seed: As for `batches`.

    Returns:
        Ascending line numbers, from 1.
    """
    buckets = length_buckets(statistics.max_length)
    plan, indexes = BatchPlan(batch_sizes(buckets, batch_tokens), seed), list(statistics.indexes)
    counts = np.stack([index.bucket_counts(len(buckets)) for index in indexes])
    epoch, skip = epoch_of_batch(indexes, counts, plan.sizes, number)
    held = np.zeros(0, np.int64)
    for new, batches, remaining in plan_epoch(indexes, counts, plan, epoch, skip):
        held = np.concatenate([held, new])
        if batches:
            return _lines_by_corpus(as_list(corpora), indexes, held[batches[0]])
        held = held[remaining]
    raise ValueError(f"number: expected a batch of the training, got {number}")


def _lines_by_corpus(corpora, indexes, ids):
    lines, first = {}, 0
    for corpus, index in zip(corpora, indexes, strict=True):
        inside = ids[(ids >= first) & (ids < first + len(index.buckets))]
        if len(inside):
            lines[corpus_name(corpus)] = (np.sort(inside) - first + 1).tolist()
        first += len(index.buckets)
    return lines
