"""Word alignments in Pharaoh's format, `0-0 1-2`, as positions of a model's tokens."""

import re

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Tokenizer

__all__ = ["check_links", "token_alignment", "word_indices"]

_LINKS = re.compile(rb"\s*(\d+-\d+(\s+\d+-\d+)*)?\s*")


def check_links(line: bytes, source: bytes, target: bytes, place: str) -> None:
    """Refuses a line of alignments that is not one of this pair of texts.

    Raises:
        UserError: naming `place`, when it is no list of links or a word is not there.
    """
    if not _LINKS.fullmatch(line):
        came = line.decode()
        raise UserError(f"{place}: expected links such as 0-0 1-2, came {came[:60]!r}")
    links = np.array(line.replace(b"-", b" ").split(), int).reshape(-1, 2)
    for side, text, words in (("source", source, links[:, 0]), ("target", target, links[:, 1])):
        count = len(text.split())
        if words.size and words.max() >= count:
            expected = f"expected words below {count} of the {side}"
            raise UserError(f"{place}: {expected}, came {words.max()}")


def word_indices(pieces, tokenizer: Tokenizer):
    """Which word of its text each piece belongs to, from 0: strings -> int32, ragged [B, None]."""
    first = tf.equal(tf.ragged.range(pieces.row_lengths()).values, 0)
    begins = tf.cast(tokenizer.is_word_start(pieces.values) | first, tf.int32)
    numbers = tf.cumsum(begins)  # over all texts
    before = tf.gather(numbers, tf.gather(pieces.row_starts(), pieces.value_rowids()))
    return pieces.with_values(numbers - before)


def token_alignment(links, source_words, target_words, width: int, length: int):
    """Alignments of words as alignments of tokens: every piece of a word is aligned as it is.

    Args:
        links: strings [B], in Pharaoh's format.
        source_words, target_words: int32, ragged [B, None], from `word_indices`.
        width: S; length: T.

    Returns:
        bool [B, T, S], False at ends and padding.
    """
    rows = tf.strings.split(links)  # [B, None]
    pairs = tf.strings.to_number(tf.strings.split(rows.values, "-").values, tf.int32)
    pairs = tf.reshape(pairs, [-1, 2])  # source word, target word
    sizes = [_most(target_words), _most(source_words)]
    inside = (pairs[:, 0] < sizes[1]) & (pairs[:, 1] < sizes[0])
    index = tf.stack([tf.cast(rows.value_rowids(), tf.int32), pairs[:, 1], pairs[:, 0]], 1)
    shape = tf.stack([tf.shape(links)[0], sizes[0] + 1, sizes[1] + 1])  # none aligned to the last
    ones = tf.ones([tf.math.count_nonzero(inside)], tf.int32)
    words = tf.scatter_nd(tf.boolean_mask(index, inside), ones, shape)
    made = tf.gather(words, _dense(target_words, sizes[0], length), axis=1, batch_dims=1)
    made = tf.gather(made, _dense(source_words, sizes[1], width), axis=2, batch_dims=1)
    return made > 0


def _most(words):
    """More than any number of a word."""
    return tf.reduce_max(tf.concat([words.values, [-1]], 0)) + 1


def _dense(words, absent, width):
    """Ragged numbers [B, None] -> [B, width], `absent` behind each row."""
    rows = words.to_tensor(absent)
    return tf.pad(rows, [[0, 0], [0, width - tf.shape(rows)[1]]], constant_values=absent)
