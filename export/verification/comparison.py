"""Where two answers to the same request differ first."""

from dataclasses import dataclass

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.signatures.fields import signature_fields

__all__ = ["Difference", "NotProven", "first_difference"]

TOLERANCE = 1e-4
RELATIVE = 1e-6  # sums over long targets: float32 has seven digits


class NotProven(UserError):
    """An export that is not what it was made from, or that a stock server cannot run."""

    status = 1


@dataclass(frozen=True)
class Difference:
    """One value of one output in one row, as two models gave it.

    Attributes:
        signature: that was asked.
        row: of the request, which `request` describes.
        output: its name, with the place of the value in it.
        values: of the one and of the other.
    """

    signature: str
    row: int
    request: str
    output: str
    values: tuple[str, str]

    def between(self, one: str, other: str) -> str:
        """What differs, with the two values under each other behind the names of their givers."""
        width = max(len(one), len(other))
        return (
            f"signature {self.signature}, row {self.row} ({self.request}): {self.output}\n"
            f"  {one:{width}}  {self.values[0]}\n"
            f"  {other:{width}}  {self.values[1]}"
        )


def first_difference(probe, one: dict, other: dict):
    """The `Difference` of two models' outputs, in the first row that has one; None without any.

    Strings, ids and lengths must be equal, float values so to 1e-4.

    Args:
        probe: the `probes.Probe` that both answered.
        one, other: arrays by the outputs' names, the batch as the first dimension.
    """
    names = [n for n in signature_fields(probe.signature)[1] if n in one or n in other]
    names += sorted({*one, *other} - {*names})
    found = []
    for name in names:
        wrong = _compare(name, one.get(name), other.get(name), probe.rows)
        if wrong:
            found.append(wrong)
    if not found:
        return None
    # A single value says more than two shapes, which often differ because of it.
    _, row, output, values = min(found, key=lambda wrong: wrong[:2])
    return Difference(probe.signature, row, probe.describe(row), output, values)


def _compare(name, one, other, rows):
    """(whether it is the whole, row, output, values) of the first difference; None without any."""
    if one is None or other is None:
        return True, 0, name, tuple("missing" if x is None else _form(x) for x in (one, other))
    if one.dtype != other.dtype or one.shape != other.shape:
        return True, 0, f"{name}, as a whole", (_form(one), _form(other))
    if one.shape[:1] != (rows,):
        return True, 0, f"{name}, expected {rows} rows", (_form(one), _form(other))
    places = np.argwhere(~_equal(one, other))
    if not len(places):
        return None
    place = tuple(int(i) for i in places[0])
    inner = f"{name}[{', '.join(map(str, place[1:]))}]" if place[1:] else name
    return False, place[0], inner, (_value(one[place]), _value(other[place]))


def _equal(one, other):
    if one.dtype.kind == "f":
        return np.isclose(one, other, rtol=RELATIVE, atol=TOLERANCE, equal_nan=True)
    return np.asarray(one == other, bool)


def _form(array):
    kind = "string" if array.dtype == np.object_ else array.dtype.name
    return f"{kind} {list(array.shape)}"


def _value(value):
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return repr(value)
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)
