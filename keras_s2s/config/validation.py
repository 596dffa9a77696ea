"""Validation of configuration sections by type hint and limits."""

import dataclasses
import math
import operator
import os
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from keras_s2s.errors import UserError

__all__ = ["FieldError", "Section", "setting", "union_members"]


class FieldError(UserError):
    """An invalid value of a section's field; `parsing.parse` adds the file and line.

    Args:
        owner: name of the section's class.
        key: name of the field, "" for the section as a whole.
        problem: what is expected and what the value is.
    """

    def __init__(self, owner: str, key: str, problem: str) -> None:
        super().__init__(f"{owner}.{key}: {problem}" if key else f"{owner}: {problem}")
        self.key, self.problem = key, problem


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    is_path: bool = False,
) -> Any:
    """A dataclass field with limits.

    Args:
        default: the default value.
        low, high: inclusive bounds.
        above, below: exclusive bounds.
        choices: the values that are valid; of a list, the valid items.
        is_path: whether a text is a path, in which `~` at the start is the home directory.
    """
    limits = {"low": low, "high": high, "above": above, "below": below, "choices": choices}
    return dataclasses.field(default=default, metadata={**limits, "is_path": is_path})


@dataclasses.dataclass(frozen=True)
class Section:
    """Base class of sections: checks and normalizes every field by its type hint and limits."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, kinds = getattr(self, field.name), union_members(hints[field.name])
            limits = _limits_of(value, kinds, field.metadata)
            converted = _convert(value, kinds, limits)
            if converted is _INVALID:
                self.fail(field.name, f"expected {_describe(kinds, limits)}, got {value!r}")
            for key, number in _numbers_beyond(converted):
                expected = f"expected numbers of at most {_largest(number)}"
                self.fail(f"{field.name}.{key}", f"{expected}, got {number!r}")
            if field.metadata.get("is_path") and isinstance(converted, str):
                converted = os.path.expanduser(converted)
            object.__setattr__(self, field.name, converted)

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raises the `FieldError` of the field `key`, or of the whole section for ""."""
        raise FieldError(type(self).__name__, key, problem)


MAX_INTEGER = 2**31 - 1  # of TensorFlow's int32
MAX_NUMBER = 3.4028234e38  # of float32
_INVALID = object()
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
_NAMES |= {dict: "a mapping", list: "a list", types.NoneType: "null"}


def union_members(hint: Any) -> tuple[Any, ...]:
    """The members of a union type such as `int | None`; a plain type alone."""
    return typing.get_args(hint) or (hint,)


def _limits_of(value: Any, kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> Mapping[str, Any]:
    """The limits of a field, with the bound of its type where a value exceeds that."""
    bound = MAX_INTEGER if int in kinds else MAX_NUMBER if float in kinds else None
    if bound is None or limits.get("high") is not None or not isinstance(value, int | float):
        return limits
    return limits if value <= bound or value == math.inf else {**limits, "high": bound}


def _largest(number: float) -> float:
    return MAX_INTEGER if isinstance(number, int) else MAX_NUMBER


def _numbers_beyond(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """The dotted key and the value of numbers in a mapping that no tensor holds."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from _numbers_beyond(item, f"{key}.{name}" if key else str(name))
    elif key and isinstance(value, int | float) and not abs(value) <= _largest(value):
        yield key, value


def _convert(value: Any, kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> Any:
    """The value as the first of `kinds` that accepts it, within `limits`; else `_INVALID`."""
    for kind in kinds:
        converted = _as_type(value, kind)
        if converted is _INVALID or converted is None:
            continue
        if typing.get_origin(kind) is typing.Literal:
            return converted
        return converted if _is_within(converted, limits) else _INVALID
    return None if value is None and types.NoneType in kinds else _INVALID


def _as_type(value: Any, kind: Any) -> Any:
    if isinstance(value, bool) and kind is not bool:
        return _INVALID
    if typing.get_origin(kind) is typing.Literal:
        return value if value in typing.get_args(kind) else _INVALID
    if typing.get_origin(kind) is list:  # a list of sections
        (item_type,) = typing.get_args(kind)
        is_valid = isinstance(value, list) and all(isinstance(item, item_type) for item in value)
        return value if is_valid and value else _INVALID
    if kind is float and isinstance(value, int):
        return float(value) if abs(value) <= MAX_NUMBER else _INVALID
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, kind) else _INVALID


def _is_within(value: Any, limits: Mapping[str, Any]) -> bool:
    choices = limits.get("choices")
    if choices is not None:
        return all(item in choices for item in (value if isinstance(value, list) else [value]))
    if isinstance(value, float) and not math.isfinite(value):
        return False
    fails = {"low": operator.lt, "high": operator.gt, "above": operator.le, "below": operator.ge}
    bounds = {name: limits[name] for name in fails if limits.get(name) is not None}
    return not any(fails[name](value, bound) for name, bound in bounds.items())


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return f"a list of at least one {_type_name(typing.get_args(kind)[0])}"
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def _describe(kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> str:
    """The valid values of a field in words."""
    names = [_type_name(kind) for kind in kinds]
    if limits.get("choices"):
        names[0] = ("a list of " if list in kinds else "one of ") + ", ".join(limits["choices"])
    words = {"low": "of at least", "high": "at most", "above": "above", "below": "below"}
    bounds = [f"{word} {limits[k]}" for k, word in words.items() if limits.get(k) is not None]
    if bounds:
        names[0] += " " + " and ".join(bounds)
    return " or ".join(names)
