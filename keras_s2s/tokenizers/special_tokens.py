"""Special tokens, such as the language tag `<2de>`: texts that are split off first, whole."""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["special_token_pattern", "split_around"]

_SEPARATOR = "\x1d\0\x1d"  # a text that contains it loses it: it becomes part of no token


def special_token_pattern(tokens: Sequence[str]) -> str:
    """Returns a regular expression, for Python and RE2, of any of `tokens`, longest first.

    Example:

    >>> from keras_s2s.tokenizers.special_tokens import special_token_pattern
    >>> special_token_pattern(["<a>", "<ab>"])
    '<ab>|<a>'
    """
    return "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))


def split_around(tokens: Sequence[str], split: Callable, text: tf.Tensor) -> tf.RaggedTensor:
    """Splits texts so that each special token is one token wherever it occurs.

    Args:
        tokens: The special tokens.
        split: Returns the tokens, ragged [N, None], of texts [N] without special tokens; none
            for "".
        text: Strings [B].

    Returns:
        Strings, ragged [B, None].
    """
    pattern = special_token_pattern(tokens)
    # TensorFlow Text's op for this, regex_split, stops at a NUL character
    marked = tf.strings.regex_replace(text, f"({pattern})", rf"{_SEPARATOR}\1{_SEPARATOR}")
    segments = tf.strings.split(marked, _SEPARATOR)  # [B, None]
    values = segments.values  # [N]
    is_special = tf.strings.regex_full_match(values, pattern)
    special = tf.RaggedTensor.from_row_lengths(
        values[is_special], tf.cast(is_special, tf.int64)
    )  # [N, 0 or 1]
    others = split(tf.where(is_special, "", values))  # [N, None]
    return segments.with_values(tf.concat([others, special], axis=1)).merge_dims(1, 2)
