"""Boolean masks, True at a real token. Pure functions."""

import tensorflow as tf

__all__ = ["causal", "from_lengths", "without_last"]


def from_lengths(lengths, size=None):
    """Marks the first `lengths[b]` places of each row.

    Args:
        lengths: int tensor [B], real tokens of each row.
        size: width of the mask; the longest row when None.

    Returns:
        bool tensor [B, size], True at a real token.
    """
    return tf.sequence_mask(lengths, size, dtype=tf.bool)


def causal(length):
    """Lets place t see the places 0 to t.

    Args:
        length: int or scalar tensor T.

    Returns:
        bool tensor [T, T], True where row t may look at column j <= t.
    """
    places = tf.range(length)
    return tf.expand_dims(places, 1) >= tf.expand_dims(places, 0)  # [T, T]


def without_last(mask):
    """Takes the last real token of each row for padding.

    Args:
        mask: bool tensor [B, S], True at a real token, these first.

    Returns:
        bool tensor [B, S].
    """
    return tf.logical_and(mask, tf.pad(mask[:, 1:], [[0, 0], [0, 1]]))
