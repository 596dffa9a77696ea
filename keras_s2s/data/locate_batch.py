"""Which lines of the corpora one batch of training was made of."""

from collections.abc import Sequence

import numpy as np

from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import Piles, batch_sizes, length_buckets, locate, make_epoch
from keras_s2s.data.corpus_readers import as_list, name
from keras_s2s.data.corpus_statistics import Survey

__all__ = ["find_lines"]


def find_lines(
    corpora: Corpus | Sequence[Corpus],
    surveyed: Survey,
    number: int,
    *,
    batch_tokens: int,
    seed: int,
) -> dict[str, list[int]]:
    """The line numbers, from 1, of batch `number` of training, by the name of their corpus.

    Found from the order alone: no text is read. Arguments as for `batches`.
    """
    buckets = length_buckets(surveyed.max_length)
    piles, indexes = Piles(batch_sizes(buckets, batch_tokens), seed), list(surveyed.indexes)
    kept = np.stack([index.counts(len(buckets)) for index in indexes])
    epoch, skip = locate(indexes, kept, piles.sizes, number)
    held = np.zeros(0, np.int64)
    for new, batches, left in make_epoch(indexes, kept, piles, epoch, skip):
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
            found[name(corpus)] = (np.sort(mine) - first + 1).tolist()
        first += len(index.buckets)
    return found
