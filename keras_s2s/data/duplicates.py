"""Pairs that stood before, in this corpus or an earlier one, by 64 bits of each pair's hash."""

import array
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.corpus_readers import BLOCK_SIZE, open_corpus

__all__ = ["find_duplicates"]

_PARTS = 16  # sorted one after the other: less memory at once


def find_duplicates(corpora: Sequence[Corpus]) -> Iterator[np.ndarray]:
    """For each corpus, which of its pairs stood before in any of them: bool [N].

    Both sides have to be equal, byte by byte. Keeps 8 bytes a pair; two different pairs of
    100 million are taken for equal with a probability of one in 2,000.
    """
    keys, counts = array.array("q"), []
    for corpus in corpora:
        before = len(keys)
        for block in _keys(corpus):
            keys.frombytes(block.tobytes())
        counts.append(len(keys) - before)
    repeated = _repeated(np.frombuffer(keys, np.int64))
    return iter(np.split(repeated, np.cumsum(counts)[:-1]))


def _keys(corpus):
    rows = open_corpus(corpus)
    try:
        while block := rows.take(BLOCK_SIZE):
            # where one side ends is part of the key, whatever the texts hold
            length = tf.strings.as_string(tf.strings.length(block.sources))
            both = tf.strings.join([length, block.sources, block.targets], " ")
            yield tf.strings.to_hash_bucket_fast(both, 2**63 - 1).numpy()
    finally:
        rows.close()


def _repeated(keys):
    """Which of the values [N] stood before: bool [N]."""
    found, parts = np.zeros(len(keys), bool), keys.astype(np.uint8) % _PARTS
    for part in range(_PARTS):
        places = np.flatnonzero(parts == part)
        order = places[np.argsort(keys[places], kind="stable")]
        found[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return found
