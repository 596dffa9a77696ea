"""Requests: what a Python caller passes, as the NumPy arrays of a signature's inputs.

Every function raises a UserError that names the argument. Bounds of options are not checked here:
they depend on the model, which answers a row beyond them with an `error`.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.signatures.arrays import string_array, to_array
from keras_s2s.signatures.decoding_option import CONSTRAINT, LIST
from keras_s2s.signatures.fields import SCORE, Field, Signature
from keras_s2s.signatures.options import OPTIONS

__all__ = [
    "limit_hypotheses",
    "needs_constraints",
    "option_columns",
    "pad_features",
    "search_inputs",
    "source_inputs",
    "source_rows",
    "target_inputs",
]

LINE_FEED = b"\n"  # separates the items of a list


def search_inputs(
    signature: Signature, texts: Iterable[Any], options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Builds the inputs of `translate`, `sample` or `forecast`.

    Args:
        signature: the signature.
        texts: B strings, or B arrays of numbers [S, F] for a model of features.
        options: other inputs of the signature by name, see `option_columns`.

    Returns:
        Arrays by name, all of them with B rows, as a batching server needs them; features are
        `features` [B, S, F] and `length` [B].

    Example:

    >>> from keras_s2s.signatures import TRANSLATE
    >>> from keras_s2s.signatures.requests import search_inputs
    >>> search_inputs(TRANSLATE, ["a", "b"], {"beam_size": 2})["beam_size"].tolist()
    [2, 2]
    """
    rows = source_rows(texts)
    return source_inputs(rows) | option_columns(signature, options, len(rows))


def target_inputs(
    texts: Iterable[Any], targets: Any = None, target_tokens: Any = None
) -> dict[str, np.ndarray]:
    """Builds the inputs of `score` or `attention`: arrays [B] by name.

    Args:
        texts: B strings, or B arrays of numbers [S, F].
        targets: the targets as text, or None.
        target_tokens: the targets as lists of tokens, or None.
    """
    if (targets is None) == (target_tokens is None):
        got = "neither" if targets is None else "both"
        raise UserError(f"targets: expected either targets or target_tokens, got {got}")
    rows = source_rows(texts)
    options = SCORE.options()
    if targets is None:
        column = _column(options["target_tokens"], "target_tokens", target_tokens, len(rows))
        return source_inputs(rows) | {"target_tokens": column}
    column = _column(options["target"], "targets", targets, len(rows))
    return source_inputs(rows) | {"target": column}


def option_columns(
    signature: Signature,
    options: Mapping[str, Any],
    num_rows: int,
    encoding_errors: str = "strict",
) -> dict[str, np.ndarray]:
    """Converts options to arrays [B].

    Args:
        signature: the signature.
        options: by name one value, or one for each row. An option that is a list is a string of
            lines or a list of strings for all rows, or one list for each row. None leaves the
            option out.
        num_rows: B.
        encoding_errors: how `str.encode` treats what is not valid Unicode.
    """
    fields = signature.options()
    for name in options:
        if name not in fields:
            nearest = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise UserError(f"unknown option {name!r}: expected one of {list(fields)}{hint}")
    return {
        name: _column(fields[name], name, value, num_rows, encoding_errors)
        for name, value in options.items()
        if value is not None
    }


def limit_hypotheses(options: Mapping[str, Any], num_hypotheses: int) -> dict[str, Any]:
    """Returns the options of `translate` with a default of `num_hypotheses` within `beam_size`.

    Args:
        options: by name one value, or one for each row.
        num_hypotheses: the default of a call that leaves it out.

    Example:

    >>> from keras_s2s.signatures.requests import limit_hypotheses
    >>> limit_hypotheses({"beam_size": [1, 4]}, 3)["num_hypotheses"].tolist()
    [1, 3]
    """
    if options.get("beam_size") is None or options.get("num_hypotheses") is not None:
        return dict(options)
    beam_size = to_array(options["beam_size"], "beam_size", "int32")
    return {**options, "num_hypotheses": np.minimum(beam_size, num_hypotheses)}


def needs_constraints(columns: Mapping[str, np.ndarray]) -> bool:
    """Returns whether any row of `option_columns` has an option of constrained beam search on."""

    def is_active(name: str, column: np.ndarray) -> bool:
        inactive = OPTIONS[name].inactive
        value = inactive.encode() if isinstance(inactive, str) else inactive
        return bool(np.any(column != value))

    groups = (CONSTRAINT, LIST)
    return any(
        is_active(name, column)
        for name, column in columns.items()
        if name in OPTIONS and OPTIONS[name].group in groups
    )


def source_rows(
    texts: Iterable[Any], num_features: int | None = None, encoding_errors: str = "strict"
) -> list[Any]:
    """Converts sources to rows: bytes of texts, or float32 arrays [S, F].

    Args:
        texts: strings; or arrays of numbers [S, F], or lists of lists of them.
        num_features: F where the model requires features; None decides by the first row.
        encoding_errors: how `str.encode` treats what is not valid Unicode.
    """
    if isinstance(texts, str | bytes):
        raise UserError(f"texts: expected a list of strings, got the string {texts!r}")
    rows = list(texts)
    if num_features is None and not (rows and _is_matrix(rows[0])):
        array = to_array(rows, "texts", "string", encoding_errors)
        if array.ndim != 1:
            raise UserError("texts: expected a flat list of strings, got nested lists")
        return list(array)
    matrices: list[np.ndarray] = []
    for number, row in enumerate(rows):
        matrices.append(_matrix(row, number, num_features))
        num_features = matrices[0].shape[1]
    return matrices


def _is_matrix(row: Any) -> bool:
    """Whether a row is meant as features: an array, or a list of lists."""
    if isinstance(row, list | tuple):
        return bool(row) and isinstance(row[0], list | tuple | np.ndarray)
    return isinstance(row, np.ndarray)


def _matrix(row: Any, number: int, num_features: int | None) -> np.ndarray:
    array = np.zeros(0, object) if isinstance(row, str | bytes) else np.asarray(row)
    width = "F" if num_features is None else num_features
    is_matrix = array.dtype.kind in "fiub" and array.ndim == 2
    if not is_matrix or num_features not in (None, array.shape[1]):
        got = "text" if isinstance(row, str | bytes) else f"{array.dtype} {list(array.shape)}"
        raise UserError(f"features[{number}]: expected numbers [S, {width}], got {got}")
    return array.astype(np.float32)


def source_inputs(rows: Sequence[Any]) -> dict[str, np.ndarray]:
    """Stacks rows of `source_rows` to `text` [B], or `features` [B, S, F] and `length` [B]."""
    if len(rows) and isinstance(rows[0], np.ndarray):
        return pad_features(rows)
    return {"text": string_array(rows)}


def pad_features(rows: Sequence[np.ndarray], num_features: int | None = None) -> dict[str, Any]:
    """Pads arrays [S, F] with zeros to `features` [B, S, F] and gives their `length` [B].

    Args:
        rows: the arrays.
        num_features: F; None takes it from the first row.
    """
    width = rows[0].shape[1] if num_features is None else num_features
    length = np.array([len(row) for row in rows], np.int32)
    features = np.zeros([len(rows), length.max(initial=0), width], np.float32)
    for number, row in enumerate(rows):
        features[number, : len(row)] = row
    return {"features": features, "length": length}


def _column(
    field: Field, name: str, value: Any, num_rows: int, encoding_errors: str = "strict"
) -> np.ndarray:
    """One value, or one for each row, as an array [B]."""
    if field.is_list:
        value = _lines_of_rows(value, name, encoding_errors)
    array = to_array(value, name, field.dtype, encoding_errors)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != num_rows):
        raise UserError(
            f"{name}: expected one value or {num_rows}, one for each text,"
            f" got the shape {list(array.shape)}"
        )
    return np.broadcast_to(array, (num_rows,))


def _lines_of_rows(value: Any, name: str, encoding_errors: str) -> Any:
    """A list of items as a string of lines, or one such string for each row."""
    if isinstance(value, str | bytes):
        return value
    try:
        items = [value.item()] if isinstance(value, np.ndarray) and not value.ndim else list(value)
    except TypeError:
        raise UserError(f"{name}: expected a list of strings, got {value!r}") from None
    is_nested = [isinstance(item, list | tuple | np.ndarray) for item in items]
    if any(is_nested) and not all(is_nested):
        odd = is_nested.index(False)
        raise UserError(
            f"{name}: expected one list of strings, or one list for each text,"
            f" got {items[odd]!r} beside lists in {name}[{odd}]"
        )
    if any(is_nested):
        return [_lines(row, f"{name}[{i}]", encoding_errors) for i, row in enumerate(items)]
    return _lines(items, name, encoding_errors)


def _lines(items: Iterable[Any], name: str, encoding_errors: str) -> bytes:
    strings = to_array(list(items), name, "string", encoding_errors)
    if strings.ndim != 1:
        raise UserError(f"{name}: expected a flat list of strings, got nested lists")
    for number, item in enumerate(strings):
        if LINE_FEED in item:
            raise UserError(f"{name}[{number}]: expected no line feed, got {item.decode()!r}")
    return LINE_FEED.join(strings)
