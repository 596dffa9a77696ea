"""Boolean masks, True at a real token."""

import tensorflow as tf

__all__ = ["causal", "from_lengths", "without_last"]


def from_lengths(lengths: tf.Tensor, size: int | tf.Tensor | None = None) -> tf.Tensor:
    """Mask of the first `lengths[b]` positions of each row.

    Args:
        lengths: int tensor [B], number of real tokens of each row.
        size: width of the mask; the longest row when None.

    Returns:
        bool tensor [B, size], True at a real token.

    Example:

    >>> from keras_s2s.layers import masks
    >>> masks.from_lengths([2, 1]).numpy().tolist()
    [[True, True], [True, False]]
    """
    return tf.sequence_mask(lengths, size, dtype=tf.bool)


def causal(length: int | tf.Tensor) -> tf.Tensor:
    """Causal mask: position t attends to the positions 0 to t.

    Args:
        length: int or scalar tensor T.

    Returns:
        bool tensor [T, T], True where row t may attend to column j <= t.

    Example:

    >>> from keras_s2s.layers import masks
    >>> masks.causal(2).numpy().tolist()
    [[True, False], [True, True]]
    """
    positions = tf.range(length)
    return tf.expand_dims(positions, 1) >= tf.expand_dims(positions, 0)  # [T, T]


def without_last(mask: tf.Tensor) -> tf.Tensor:
    """Mask that treats the last real token of each row as padding.

    Args:
        mask: bool tensor [B, S], True at a real token; padding is on the right.

    Returns:
        bool tensor [B, S].

    Example:

    >>> from keras_s2s.layers import masks
    >>> masks.without_last(masks.from_lengths([2, 1])).numpy().tolist()
    [[True, False], [False, False]]
    """
    return tf.logical_and(mask, tf.pad(mask[:, 1:], [[0, 0], [0, 1]]))
