"""Search options that hold for a whole corpus."""

from typing import Any

import numpy as np

from keras_s2s.signatures.fields import LIST_INPUTS, TRANSLATE, Field
from keras_s2s.signatures.requests import search_inputs

__all__ = ["check_options"]


def check_options(options: dict[str, Any]) -> dict[str, Any]:
    """Converts options to one value each of the type of the signature; lists become lines.

    Args:
        options: inputs of `keras_s2s.signatures.TRANSLATE` by name.

    Raises:
        ValueError: if an option is unknown, of another type, or outside the bounds that hold for
            every export; the message names it.

    Example:

    >>> from keras_s2s.serving.beam.options import check_options
    >>> check_options({"constraints": ["a", "b"]})
    {'constraints': b'a\\nb'}
    """
    for name, value in options.items():
        has_many_values = isinstance(value, list | tuple | np.ndarray) and np.ndim(value)
        if has_many_values and name not in LIST_INPUTS:
            raise ValueError(f"{name}: expected one value for all texts, got {value!r}")
    columns = search_inputs(TRANSLATE, [""], options)
    del columns["text"]
    for name, column in columns.items():
        _check_bounds(TRANSLATE.options()[name], column[0])
    return {name: column[0] for name, column in columns.items()}


def _check_bounds(field: Field, value: Any) -> None:
    low = -np.inf if field.low is None else field.low
    high = np.inf if field.high is None or isinstance(field.high, str) else field.high
    if field.dtype != "string" and not low <= value <= high:
        bounds = f"at least {low:g}" if high == np.inf else f"{low:g} to {high:g}"
        raise ValueError(f"{field.name}: expected {bounds}, got {value}")
