"""Durations in words."""

import math

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """Formats seconds with their two largest units; `?` for NaN.

    Example:

    >>> from keras_s2s.callbacks.duration import duration
    >>> duration(200), duration(7500)
    ('3 min 20 s', '2 h 5 min')
    """
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
