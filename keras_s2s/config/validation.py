"""What every section of a configuration shares: its fields checked by type hint and limits."""

import dataclasses
import math
import operator
import os
import types
import typing

__all__ = ["BadValue", "Section", "UserError", "choose_backend", "options", "setting"]


class UserError(ValueError):
    """A user's mistake. Commands print its text as one line and exit with `status`."""

    status = 2


class BadValue(UserError):
    """A section's own complaint; `files.parse` adds where the value was written."""

    def __init__(self, owner, key, problem):
        super().__init__(f"{owner}.{key}: {problem}" if key else f"{owner}: {problem}")
        self.key, self.problem = key, problem


def choose_backend() -> None:
    """Has Keras run on TensorFlow, whatever its own file says; to call before it is imported.

    Raises:
        UserError: the environment asks for another backend.
    """
    came = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if came != "tensorflow":
        raise UserError(f"KERAS_BACKEND: expected 'tensorflow', came {came!r}")


def setting(default, *, low=None, high=None, above=None, below=None, among=None):
    """A field with limits: from `low` to `high`, or `above` and `below`; `among` lists all."""
    limits = {"low": low, "high": high, "above": above, "below": below, "among": among}
    return dataclasses.field(default=default, metadata=limits)


class Section:
    """Checks and normalises every field of a dataclass by its type hint and its limits."""

    def __post_init__(self):
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            fitted = _fit(value, options(hints[field.name]), field.metadata)
            if fitted is _MISFIT:
                expected = _expected(options(hints[field.name]), field.metadata)
                problem = f"expected {expected}, came {value!r}"
                raise BadValue(type(self).__name__, field.name, problem)
            object.__setattr__(self, field.name, fitted)

    def fail(self, key: str, problem: str):
        """Raises the error that names the field `key` of this section."""
        raise BadValue(type(self).__name__, key, problem)


_MISFIT = object()
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
_NAMES |= {dict: "a mapping", list: "a list", types.NoneType: "null"}


def options(hint) -> tuple:
    """The types that a hint such as `int | None` allows."""
    return typing.get_args(hint) or (hint,)


def _fit(value, kinds, limits):
    """The value as one of `kinds` within `limits`, or _MISFIT."""
    for kind in kinds:
        fitted = _as(value, kind)
        if fitted is _MISFIT or fitted is None:
            continue
        if typing.get_origin(kind) is typing.Literal:
            return fitted
        return fitted if _within(fitted, limits) else _MISFIT
    return None if value is None and types.NoneType in kinds else _MISFIT


def _as(value, kind):
    if isinstance(value, bool) and kind is not bool:
        return _MISFIT
    if typing.get_origin(kind) is typing.Literal:
        return value if value in typing.get_args(kind) else _MISFIT
    if typing.get_origin(kind) is list:  # of sections
        (item,) = typing.get_args(kind)
        every = isinstance(value, list) and all(isinstance(one, item) for one in value)
        return value if every and value else _MISFIT
    if kind is float and isinstance(value, int):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, kind) else _MISFIT


def _within(value, limits) -> bool:
    among = limits.get("among")
    if among is not None:
        return all(v in among for v in (value if isinstance(value, list) else [value]))
    if isinstance(value, float) and not math.isfinite(value):
        return False
    fails = {"low": operator.lt, "high": operator.gt, "above": operator.le, "below": operator.ge}
    bounds = {name: limits[name] for name in fails if limits.get(name) is not None}
    return not any(fails[name](value, bound) for name, bound in bounds.items())


def _name(kind) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return f"a list of at least one {_name(typing.get_args(kind)[0])}"
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def _expected(kinds, limits) -> str:
    names = [_name(kind) for kind in kinds]
    if limits.get("among"):
        names[0] = ("a list of " if list in kinds else "one of ") + ", ".join(limits["among"])
    words = {"low": "of at least", "high": "at most", "above": "above", "below": "below"}
    bounds = [f"{word} {limits[k]}" for k, word in words.items() if limits.get(k) is not None]
    if bounds:
        names[0] += " " + " and ".join(bounds)
    return " or ".join(names)
