"""Word alignments in Pharaoh's format, `0-0 1-2`, and their projection to tokens."""

import re

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["check_links", "token_alignment", "word_indices"]

_LINKS = re.compile(rb"\s*(\d+-\d+(\s+\d+-\d+)*)?\s*")


def check_links(line: bytes, source: bytes, target: bytes, location: str) -> None:
    """Checks that a line of alignments is valid for a pair of texts.

    Args:
        line: The alignment in Pharaoh's format.
        source: The source text.
        target: The target text.
        location: File and line, for the error message.

    Raises:
        UserError: The line is not a list of links, or links a word that its text does not have.
    """
    if not _LINKS.fullmatch(line):
        text = line.decode()
        raise UserError(f"{location}: expected links such as 0-0 1-2, got {text[:60]!r}")
    links = np.array(line.replace(b"-", b" ").split(), int).reshape(-1, 2)
    for side, text, words in (("source", source, links[:, 0]), ("target", target, links[:, 1])):
        count = len(text.split())
        if words.size and words.max() >= count:
            expected = f"expected words below {count} of the {side}"
            raise UserError(f"{location}: {expected}, got {words.max()}")


def word_indices(tokens: tf.RaggedTensor, tokenizer: Tokenizer) -> tf.RaggedTensor:
    """Returns the index of the word that each token belongs to.

    Args:
        tokens: Strings, ragged [B, None].
        tokenizer: The tokenizer of the tokens, which finds where words start.

    Returns:
        int32, ragged [B, None], from 0 in each row.
    """
    first = tf.equal(tf.ragged.range(tokens.row_lengths()).values, 0)
    starts = tf.cast(tokenizer.is_word_start(tokens.values) | first, tf.int32)
    indices = tf.cumsum(starts)  # over all rows
    offsets = tf.gather(indices, tf.gather(tokens.row_starts(), tokens.value_rowids()))
    return tokens.with_values(indices - offsets)


def token_alignment(
    links: tf.Tensor,
    source_words: tf.RaggedTensor,
    target_words: tf.RaggedTensor,
    source_length: int | tf.Tensor,
    target_length: int | tf.Tensor,
) -> tf.Tensor:
    """Projects word alignments to tokens: all tokens of two linked words are aligned.

    Args:
        links: Strings [B], in Pharaoh's format.
        source_words: int32, ragged [B, None], from `word_indices`.
        target_words: int32, ragged [B, None], from `word_indices`.
        source_length: S.
        target_length: T.

    Returns:
        bool [B, T, S], False at end tokens and padding.
    """
    rows = tf.strings.split(links)  # [B, None]
    pairs = tf.strings.to_number(tf.strings.split(rows.values, "-").values, tf.int32)
    pairs = tf.reshape(pairs, [-1, 2])  # [N, (source word, target word)]
    num_target, num_source = _num_words(target_words), _num_words(source_words)
    inside = (pairs[:, 0] < num_source) & (pairs[:, 1] < num_target)
    index = tf.stack([tf.cast(rows.value_rowids(), tf.int32), pairs[:, 1], pairs[:, 0]], 1)
    # the last row and column stand for padding and have no links
    shape = tf.stack([tf.shape(links)[0], num_target + 1, num_source + 1])
    ones = tf.ones([tf.math.count_nonzero(inside)], tf.int32)
    words = tf.scatter_nd(tf.boolean_mask(index, inside), ones, shape)
    target_index = _pad(target_words, num_target, target_length)
    source_index = _pad(source_words, num_source, source_length)
    tokens = tf.gather(words, target_index, axis=1, batch_dims=1)  # [B, T, source words]
    tokens = tf.gather(tokens, source_index, axis=2, batch_dims=1)  # [B, T, S]
    return tokens > 0


def _num_words(words):
    """The number of words of the row that has most."""
    return tf.reduce_max(tf.concat([words.values, [-1]], 0)) + 1


def _pad(words, value, length):
    """Ragged indices [B, None] -> [B, length], padded with `value`."""
    rows = words.to_tensor(value)
    return tf.pad(rows, [[0, 0], [0, length - tf.shape(rows)[1]]], constant_values=value)
