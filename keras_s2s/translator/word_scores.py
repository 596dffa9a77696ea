"""Scores of words: the tokens of each summed."""

import tensorflow as tf

from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = ["score_words"]


def score_words(pieces, log_probs, tokenizer, end):
    """Words of targets, and the log-probability of each.

    Args:
        pieces: ragged string [B, None], target tokens.
        log_probs: float32 tensor [B, T], of the tokens and the end; T is one more than the most
            pieces.
        tokenizer: says where words begin, and joins their pieces.
        end: the string that names the end, which is a word of its own.

    Returns:
        string [B, W], padded with "", and float32 [B, W], padded with -1e9.
    """
    lengths = tf.cast(pieces.row_lengths(), tf.int32)
    each = tf.RaggedTensor.from_tensor(log_probs, lengths)  # [B, None]
    place = tf.ragged.range(lengths).values
    begins = tokenizer.is_word_start(pieces.values) | tf.equal(place, 0)  # [N]
    starts = tf.reshape(tf.where(begins), [-1])
    count = tf.reduce_sum(pieces.with_values(tf.cast(begins, tf.int64)), 1)  # [B]
    inner = tf.RaggedTensor.from_row_starts(pieces.values, starts)  # [words, None]
    texts = tokenizer.detokenize(inner.to_tensor(""))
    sums = tf.reduce_sum(tf.RaggedTensor.from_row_starts(each.values, starts), 1)
    last = tf.gather(log_probs, tf.expand_dims(lengths, 1), batch_dims=1)  # [B, 1]
    words = _ended(texts, count, tf.fill(tf.shape(last), end))
    return words.to_tensor(""), _ended(sums, count, last).to_tensor(MISSING_SCORE)


def _ended(values, count, last):
    rows = tf.RaggedTensor.from_row_lengths(values, count)
    return tf.concat([rows, tf.RaggedTensor.from_tensor(last)], 1)
