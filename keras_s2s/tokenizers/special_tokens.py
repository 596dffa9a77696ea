"""Texts that are never cut, such as the language tag `<2de>`: found before anything else is."""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["special_token_pattern", "split_around"]

_APART = "\x1d\0\x1d"  # no text's own; where one holds it, it is no piece


def special_token_pattern(tokens: Sequence[str]) -> str:
    """A regular expression, for Python and for RE2, of any of `tokens`, the longest first."""
    return "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))


def split_around(tokens: Sequence[str], cut: Callable, text):
    """Pieces of texts, in which each of `tokens` is one piece wherever it stands.

    Args:
        tokens: the texts that are not cut.
        cut: gives the pieces, ragged [N, None], of texts [N]; none for "".
        text: strings [B].

    Returns:
        strings, ragged [B, None].
    """
    found = special_token_pattern(tokens)
    # The op of TensorFlow Text that splits so reads no further than a NUL.
    marked = tf.strings.regex_replace(text, f"({found})", rf"{_APART}\1{_APART}")
    segments = tf.strings.split(marked, _APART)  # [B, None]
    values = segments.values  # [N]
    whole = tf.strings.regex_full_match(values, found)
    alone = tf.RaggedTensor.from_row_lengths(values[whole], tf.cast(whole, tf.int64))  # [N, 0 or 1]
    pieces = tf.concat([cut(tf.where(whole, "", values)), alone], axis=1)  # [N, None]
    return segments.with_values(pieces).merge_dims(1, 2)
