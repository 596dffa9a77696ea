"""Texts that are never cut, such as the language tag `<2de>`: found before anything else is."""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_text as tf_text

__all__ = ["cut_around", "pattern"]


def pattern(tokens: Sequence[str]) -> str:
    """A regular expression, for Python and for RE2, of any of `tokens`, the longest first."""
    return "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))


def cut_around(tokens: Sequence[str], cut: Callable, text):
    """Pieces of texts, in which each of `tokens` is one piece wherever it stands.

    Args:
        tokens: the texts that are not cut.
        cut: gives the pieces, ragged [N, None], of texts [N]; none for "".
        text: strings [B].

    Returns:
        strings, ragged [B, None].
    """
    found = pattern(tokens)
    segments = tf_text.regex_split(text, found, keep_delim_regex_pattern=found)  # [B, None]
    values = segments.values  # [N]
    whole = tf.strings.regex_full_match(values, found)
    alone = tf.RaggedTensor.from_row_lengths(values[whole], tf.cast(whole, tf.int64))  # [N, 0 or 1]
    pieces = tf.concat([cut(tf.where(whole, "", values)), alone], axis=1)  # [N, None]
    return segments.with_values(pieces).merge_dims(1, 2)
