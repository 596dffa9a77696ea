"""Detection of repeated pairs, by a 64-bit hash of each pair."""

import array
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.corpus_readers import BLOCK_SIZE, open_corpus

__all__ = ["find_duplicates"]

_PARTITIONS = 16  # sorted one after the other, to save memory


def find_duplicates(corpora: Sequence[Corpus]) -> Iterator[np.ndarray]:
    """Yields for each corpus which of its pairs occur earlier in any of the corpora: bool [N].

    Two pairs are equal where both sides are, byte by byte. The function holds 8 bytes per pair.
    Among 100 million pairs, two different ones get the same hash with a probability of 1 in 2,000.
    """
    hashes, counts = array.array("q"), []
    for corpus in corpora:
        before = len(hashes)
        for block in _hash_blocks(corpus):
            hashes.frombytes(block.tobytes())
        counts.append(len(hashes) - before)
    repeated = _find_repeated(np.frombuffer(hashes, np.int64))
    return iter(np.split(repeated, np.cumsum(counts)[:-1]))


def _hash_blocks(corpus):
    reader = open_corpus(corpus)
    try:
        while block := reader.read(BLOCK_SIZE):
            # the length of the source makes the boundary between the sides part of the key
            length = tf.strings.as_string(tf.strings.length(block.sources))
            keys = tf.strings.join([length, block.sources, block.targets], " ")
            yield tf.strings.to_hash_bucket_fast(keys, 2**63 - 1).numpy()
    finally:
        reader.close()


def _find_repeated(values):
    """Which of the values [N] occur earlier: bool [N]."""
    repeated, partitions = np.zeros(len(values), bool), values.astype(np.uint8) % _PARTITIONS
    for partition in range(_PARTITIONS):
        positions = np.flatnonzero(partitions == partition)
        order = positions[np.argsort(values[positions], kind="stable")]
        repeated[order[1:]] = values[order[1:]] == values[order[:-1]]
    return repeated
