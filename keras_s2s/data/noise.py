"""Word noise on training sources: words dropped, replaced and moved."""

import tensorflow as tf

from keras_s2s.config import Noise
from keras_s2s.data.alignments import word_indices
from keras_s2s.tokenizers import UNKNOWN, Tokenizer

__all__ = ["add_noise"]


def add_noise(
    tokens: tf.RaggedTensor, tokenizer: Tokenizer, noise: Noise, seed: int = 0
) -> tf.RaggedTensor:
    """Drops, replaces and moves words; the tokens of a word stay together.

    The random numbers depend on the texts of the batch and the seed alone. A training that is
    resumed therefore draws the same noise, and batches differ between epochs. Words are moved by
    sorting them by i + U(0, permute + 1), where i is the position of a word. No text loses all its
    words.

    Args:
        tokens: Strings, ragged [B, None].
        tokenizer: The tokenizer of the tokens, which finds where words start.
        noise: The shares of dropped and replaced words, and the distance of moves.
        seed: Of the random numbers.

    Returns:
        Strings, ragged [B, None].

    Reference: Lample et al. 2018, arXiv:1711.00043, section 2.3; replaced words: Edunov et al.
    2018, arXiv:1808.09381.
    """
    text = tf.strings.reduce_join(tokens.values, separator=" ")
    seeds = tf.stack([tf.strings.to_hash_bucket_fast(text, 2**31 - 1), seed])
    rows, word_in_row = tokens.value_rowids(), word_indices(tokens, tokenizer).values  # [N]
    words = _global_word_indices(rows, word_in_row)
    num_words = tf.reduce_max(tf.concat([words, [-1]], 0)) + 1

    def uniform(stream):
        """One number in [0, 1) per word, gathered to its tokens: float64 [N]."""
        per_word = tf.random.stateless_uniform([num_words], seeds + [stream, 0], dtype=tf.float64)
        return tf.gather(per_word, words)

    values = tf.where(uniform(0) < noise.replace, UNKNOWN, tokens.values)
    drop_scores = uniform(1)
    highest = tf.math.segment_max(drop_scores, rows)  # this word stays in any case
    kept = (drop_scores >= noise.drop) | tf.equal(drop_scores, tf.gather(highest, rows))
    positions = tf.cast(word_in_row, tf.float64)
    if noise.permute:
        positions += uniform(2) * (noise.permute + 1)
    # a stable sort by row, then by new position, keeps the tokens of a word in their order
    row_span = tf.reduce_max(tf.concat([positions, [0.0]], 0)) + 1.0
    order = tf.argsort(tf.cast(rows, tf.float64) * row_span + positions, stable=True)
    order = tf.boolean_mask(order, tf.gather(kept, order))
    return tf.RaggedTensor.from_value_rowids(
        tf.gather(values, order), tf.gather(rows, order), tokens.nrows(), validate=False
    )


def _global_word_indices(rows, word_in_row):
    """The index of each token's word among the words of all rows, int32 [N]."""
    starts = (rows[1:] != rows[:-1]) | (word_in_row[1:] != word_in_row[:-1])
    zero = tf.zeros_like(word_in_row[:1])
    return tf.concat([zero, tf.cumsum(tf.cast(starts, tf.int32))], 0)
