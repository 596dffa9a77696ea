"""Responses of a server: their types and shapes are checked, then their rows are read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_s2s.serving.errors import RowError, UnexpectedReply
from keras_s2s.signatures import responses
from keras_s2s.signatures.fields import Field, Signature

__all__ = ["read_rows"]

_KINDS = {"string": "O", "bool": "b", "int32": "iu", "float32": "f"}  # of arrays, by dtype


def read_rows(
    signature: Signature, outputs: dict[str, np.ndarray], count: int, omitted: Sequence[str] = ()
) -> list[Any]:
    """Reads the outputs of `translate`, `sample`, `score`, `attention` or `forecast`.

    Args:
        signature: the signature that was called.
        outputs: arrays by name, strings decoded, shaped as the signature says: `text [B, K]`,
            `tokens [B, K, T]`, ...
        count: number of rows of the request, B.
        omitted: names of outputs that were not requested.

    Returns:
        For each row its hypotheses, best first, its `Score`, its `Attention` or its `Forecast`.

    Raises:
        RowError: if the model refused rows. Its `results` have no hypotheses, or None, for them.
        UnexpectedReply: if an output is missing or has another type or shape.
    """
    _check(signature, outputs, count, omitted)
    rows = [{name: array[i] for name, array in outputs.items()} for i in range(count)]
    results, errors = responses.read_rows(signature.name, rows)
    if errors:
        has_hypotheses = signature.name in ("translate", "sample")
        for row in errors:
            results[row] = [] if has_hypotheses else None
        raise RowError(errors, results)
    return results


def _check(
    signature: Signature, outputs: dict[str, np.ndarray], count: int, omitted: Sequence[str]
) -> None:
    """Checks the types and shapes of a response against the signature."""
    sizes = {"B": count}
    for field in signature.outputs:
        if field.name in outputs:
            _check_type(signature, field, outputs[field.name])
            _check_shape(signature, field, outputs[field.name].shape, sizes)
            if "T" in sizes:
                sizes["U"] = sizes["T"] + 1
        elif not field.is_optional and field.name not in omitted:
            raise UnexpectedReply(
                f"response to {signature.name}: expected the output {field.name!r}, got none"
            )


def _check_type(signature: Signature, field: Field, array: np.ndarray) -> None:
    if array.dtype.kind not in _KINDS[field.dtype]:
        got = "string" if array.dtype == np.object_ else array.dtype.name
        raise UnexpectedReply(
            f"output {field.name!r} of {signature.name}: expected {field.dtype}, got {got}"
        )


def _check_shape(
    signature: Signature, field: Field, shape: tuple[int, ...], sizes: dict[str, int]
) -> None:
    """Checks a shape; `sizes` holds the sizes of the letters, known from earlier outputs."""
    is_right = len(shape) == len(field.shape) and all(
        sizes.setdefault(letter, size) == size
        for letter, size in zip(field.shape, shape, strict=True)
    )
    if not is_right:
        expected = [sizes.get(letter, letter) for letter in field.shape]
        raise UnexpectedReply(
            f"output {field.name!r} of {signature.name}: expected the shape {expected},"
            f" got {list(shape)}"
        )
