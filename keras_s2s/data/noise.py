"""Noise on the words of training sources: some left out, some replaced, some moved."""

import tensorflow as tf

from keras_s2s.config import Noise
from keras_s2s.data.alignments import word_indices
from keras_s2s.tokenizers import UNKNOWN, Tokenizer

__all__ = ["add_noise"]


def add_noise(pieces, tokenizer: Tokenizer, noise: Noise, seed: int = 0):
    """Texts with noise on their words; the pieces of a word stay together.

    What is drawn depends on the texts of the batch and the seed alone, so that a training that
    goes on draws what it would have drawn; batches differ from one epoch to the next. A word is
    moved by the order of i + U(0, permute + 1), i its place. No text loses all its words.

    Args:
        pieces: strings, ragged [B, None].
        tokenizer: says where words begin.
        noise: the shares.
        seed: of the drawing.

    Returns:
        strings, ragged [B, None].

    Reference: Lample et al. 2018, arXiv:1711.00043, section 2.3; replaced words: Edunov et al.
    2018, arXiv:1808.09381.
    """
    text = tf.strings.reduce_join(pieces.values, separator=" ")
    seeds = tf.stack([tf.strings.to_hash_bucket_fast(text, 2**31 - 1), seed])
    rows, numbers = pieces.value_rowids(), word_indices(pieces, tokenizer).values  # [N]
    words = _words(rows, numbers)
    count = tf.reduce_max(tf.concat([words, [-1]], 0)) + 1

    def draw(which):
        """A number from 0 to 1 for each piece, the same for those of a word."""
        drawn = tf.random.stateless_uniform([count], seeds + [which, 0], dtype=tf.float64)
        return tf.gather(drawn, words)

    values = tf.where(draw(0) < noise.replace, UNKNOWN, pieces.values)
    dropping = draw(1)
    most = tf.math.segment_max(dropping, rows)
    kept = (dropping >= noise.drop) | tf.equal(dropping, tf.gather(most, rows))
    places = tf.cast(numbers, tf.float64)
    if noise.permute:
        places += draw(2) * (noise.permute + 1)
    # rows one after the other, and within each by the new places; equal ones as they were
    last = tf.reduce_max(tf.concat([places, [0.0]], 0)) + 1.0
    order = tf.argsort(tf.cast(rows, tf.float64) * last + places, stable=True)
    order = tf.boolean_mask(order, tf.gather(kept, order))
    return tf.RaggedTensor.from_value_rowids(
        tf.gather(values, order), tf.gather(rows, order), pieces.nrows(), validate=False
    )


def _words(rows, numbers):
    """The number of each piece's word among those of all texts, int32 [N]."""
    new = (rows[1:] != rows[:-1]) | (numbers[1:] != numbers[:-1])
    return tf.concat([tf.zeros_like(numbers[:1]), tf.cumsum(tf.cast(new, tf.int32))], 0)
