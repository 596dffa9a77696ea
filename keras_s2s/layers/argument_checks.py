"""Checks of layer arguments."""

import numbers
from typing import Any

__all__ = ["check_positive_integers"]


def check_positive_integers(**sizes: Any) -> None:
    """Checks that arguments such as widths and layer counts are positive integers.

    Args:
        **sizes: the arguments to check, by name.

    Raises:
        ValueError: naming the first argument that is not a positive integer.

    Example:

    >>> from keras_s2s.layers.argument_checks import check_positive_integers
    >>> check_positive_integers(units=8, num_layers=2)
    """
    for name, value in sizes.items():
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_integer or value < 1:
            raise ValueError(f"{name}: expected a positive integer, got {value!r}")
