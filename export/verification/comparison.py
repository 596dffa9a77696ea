"""Comparison of two models' responses to one request."""

from dataclasses import dataclass

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.signatures.arrays import decode_text
from keras_s2s.signatures.fields import signature_fields

__all__ = ["Difference", "NotProven", "VerificationError", "first_difference"]

ABSOLUTE_TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 1e-6  # float32 has seven digits; sums over long targets are large


class VerificationError(UserError):
    """An export that differs from its model, or that a stock server cannot run."""

    status = 1


NotProven = VerificationError  # the name in earlier versions


@dataclass(frozen=True)
class Difference:
    """The first value in which two models' responses differ.

    Attributes:
        signature: name of the requested signature.
        row: row of the request.
        request: description of that row.
        output: name of the output, with the position of the value in it.
        values: the value of the first model and of the second, as text.
    """

    signature: str
    row: int
    request: str
    output: str
    values: tuple[str, str]

    def describe(self, first: str, second: str) -> str:
        """The difference as three lines of text.

        Args:
            first, second: names of the two models, printed before their values.
        """
        width = max(len(first), len(second))
        return (
            f"signature {self.signature}, row {self.row} ({self.request}): {self.output}\n"
            f"  {first:{width}}  {self.values[0]}\n"
            f"  {second:{width}}  {self.values[1]}"
        )


def first_difference(
    request: ProbeRequest, first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> Difference | None:
    """Compares two responses.

    Strings, ids and lengths have to be equal, floating-point values to 1e-4.

    Args:
        request: the request that both models answered.
        first, second: arrays by output name, the batch as the first dimension.

    Returns:
        The difference in the first row that has one; None if the responses are equal.
    """
    names = [
        name for name in signature_fields(request.signature)[1] if name in first or name in second
    ]
    names += sorted({*first, *second} - {*names})
    mismatches = [
        mismatch
        for name in names
        if (mismatch := _compare(name, first.get(name), second.get(name), request.rows))
    ]
    if not mismatches:
        return None
    # A single value is more helpful than two shapes, which often differ because of the value.
    _, row, output, values = min(mismatches, key=lambda mismatch: mismatch[:2])
    return Difference(request.signature, row, request.describe(row), output, values)


def _compare(name, first, second, rows):
    """(concerns the whole array, row, output, values) of the first mismatch, or None."""
    if first is None or second is None:
        values = ["missing" if x is None else _describe_array(x) for x in (first, second)]
        return True, 0, name, tuple(values)
    arrays = _describe_array(first), _describe_array(second)
    if first.dtype != second.dtype or first.shape != second.shape:
        return True, 0, f"{name}, as a whole", arrays
    if first.shape[:1] != (rows,):
        return True, 0, f"{name}, expected {rows} rows", arrays
    mismatches = np.argwhere(~_elementwise_equal(first, second))
    if not len(mismatches):
        return None
    index = tuple(int(i) for i in mismatches[0])
    output = f"{name}[{', '.join(map(str, index[1:]))}]" if index[1:] else name
    return False, index[0], output, (_describe_value(first[index]), _describe_value(second[index]))


def _elementwise_equal(first, second):
    if first.dtype.kind == "f":
        tolerance = {"rtol": RELATIVE_TOLERANCE, "atol": ABSOLUTE_TOLERANCE}
        return np.isclose(first, second, **tolerance, equal_nan=True)
    return np.asarray(first == second, bool)


def _describe_array(array):
    dtype = "string" if array.dtype == np.object_ else array.dtype.name
    return f"{dtype} {list(array.shape)}"


def _describe_value(value):
    if isinstance(value, str | bytes):
        return repr(decode_text(value))
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)
