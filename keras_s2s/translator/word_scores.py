"""Scores of words: sums over the tokens of each."""

from typing import Any

import tensorflow as tf

from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = ["score_words"]


def score_words(
    pieces: tf.RaggedTensor, log_probs: tf.Tensor, tokenizer: Any, end: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the words of targets and the log-probability of each.

    Args:
        pieces: ragged string [B, None], target tokens.
        log_probs: float32 tensor [B, T], of the tokens and the end; T is one more than the largest
            number of tokens.
        tokenizer: the target's; it tells where words begin, and joins their tokens.
        end: name of the end, which is a word of its own.

    Returns:
        string [B, W], padded with "", and float32 [B, W], padded with -1e9.
    """
    lengths = tf.cast(pieces.row_lengths(), tf.int32)
    token_log_probs = tf.RaggedTensor.from_tensor(log_probs, lengths)  # [B, None]
    position = tf.ragged.range(lengths).values
    is_first = tokenizer.is_word_start(pieces.values) | tf.equal(position, 0)  # [N]
    starts = tf.reshape(tf.where(is_first), [-1])
    count = tf.reduce_sum(pieces.with_values(tf.cast(is_first, tf.int64)), 1)  # [B]
    words = tf.RaggedTensor.from_row_starts(pieces.values, starts)  # [words, None]
    texts = tokenizer.detokenize(words.to_tensor(""))
    sums = tf.reduce_sum(tf.RaggedTensor.from_row_starts(token_log_probs.values, starts), 1)
    last = tf.gather(log_probs, tf.expand_dims(lengths, 1), batch_dims=1)  # [B, 1]
    words = _append(texts, count, tf.fill(tf.shape(last), end))
    return words.to_tensor(""), _append(sums, count, last).to_tensor(MISSING_SCORE)


def _append(values: tf.Tensor, count: tf.Tensor, last: tf.Tensor) -> tf.RaggedTensor:
    """Rows of `count` values each, with `last` [B, 1] at their ends."""
    rows = tf.RaggedTensor.from_row_lengths(values, count)
    return tf.concat([rows, tf.RaggedTensor.from_tensor(last)], 1)
