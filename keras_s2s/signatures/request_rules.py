"""Rules for the options of a request, written once for Python numbers, NumPy and TensorFlow.

A rule is a condition, True for rows that break it, and the parts of its error message: strings and
values, in order. Conditions use comparison, arithmetic and bitwise operators alone, so that values
may be Python numbers of one row, arrays [B] or tensors [B]. A row's error is the message of the
first rule that it breaks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keras_s2s.signatures.caps import resolve_bound
from keras_s2s.signatures.fields import Signature
from keras_s2s.signatures.options import OPTIONS

__all__ = [
    "ListValues",
    "Rule",
    "bound_message",
    "bound_rules",
    "limit_rule",
    "prefix_rules",
    "search_rules",
    "target_rules",
]

Rule = tuple[Any, tuple[Any, ...]]
PREFIXES = ("target_prefix", "prefix_tokens")
PHRASES = ("constraints", "disallowed")


@dataclass(frozen=True)
class ListValues:
    """Quantities of the lists of a request, one for each row.

    Attributes:
        num_bytes: size of each list option by name.
        prefix_length: tokens of the prefix.
        num_constraint_tokens: tokens of all constraints.
        num_missing_tokens: tokens of the constraints that the prefix does not contain yet.
        has_unknown: whether a constraint has a token that no target can hold, and `unknown` that
            token.
        is_contradiction: whether a constraint contains something disallowed.
    """

    num_bytes: Mapping[str, Any]
    prefix_length: Any
    num_constraint_tokens: Any = 0
    num_missing_tokens: Any = 0
    has_unknown: Any = False
    unknown: Any = ""
    is_contradiction: Any = False


def limit_rule(name: str, value: Any, limit: int) -> Rule:
    """Returns the rule that a size is at most `limit`."""
    return value > limit, (f"{name}: expected 0 to {limit}, got ", value)


def bound_rules(
    signature: Signature, values: Mapping[str, Any], caps: dict[str, int]
) -> Iterator[Rule]:
    """Yields the rule of the bounds of each number among a signature's options, for one row."""
    for field in signature.options().values():
        low, high = field.bounds(caps)
        if low is not None and high is not None:
            value = values[field.name]
            # `not` around the comparison: it is False for a NaN.
            yield not low <= value <= high, (bound_message(field.name, caps), value)


def bound_message(name: str, caps: dict[str, int]) -> str:
    """Returns the message of an option that is out of its bounds, without the value."""
    option = OPTIONS[name]
    low, high = (
        f"{bound:g}" if isinstance(bound, float) else bound
        for bound in (option.low, resolve_bound(option.high, caps))
    )
    return f"{name}: expected {low} to {high}, got "


def prefix_rules(
    values: Mapping[str, Any], lists: ListValues, max_length: Any, caps: dict[str, int]
) -> Iterator[Rule]:
    """Yields the rules of the prefix, which `translate` and `sample` have in common."""
    yield from _exclusion_rules({name: OPTIONS[name].is_active(values[name]) for name in PREFIXES})
    for name in PREFIXES:
        yield limit_rule(f"{name} bytes", lists.num_bytes[name], caps["list_bytes"])
    length = lists.prefix_length
    expected = "target_prefix: expected at most "
    yield length > max_length, (expected, max_length, " tokens, the maximum, got ", length)


def search_rules(
    values: Mapping[str, Any], lists: ListValues, max_length: Any, caps: dict[str, int]
) -> Iterator[Rule]:
    """Yields the rules of `translate`.

    Args:
        values: options by name; rows out of their bounds have broken an earlier rule, and what
            divides another option is at least 1.
        lists: `ListValues` of the row or rows.
        max_length: the maximum number of tokens after ratios and `max_new_tokens`.
        caps: see `keras_s2s.signatures.CAPS`.
    """
    yield from prefix_rules(values, lists, max_length, caps)
    yield from _relation_rules(values)
    least, most = values["min_length"], values["max_length"]
    yield least > most, ("min_length: expected at most max_length, ", most, ", got ", least)
    active = _exclusive_options(values)
    active["constraints"] = lists.num_constraint_tokens > 0  # blank lines have none
    position = values["alternatives_at"]
    expected = "alternatives_at: expected at least the prefix's length, "
    yield (
        active["alternatives_at"] & (position < lists.prefix_length),
        (expected, lists.prefix_length, ", got ", position),
    )
    yield from _exclusion_rules(active)
    yield from _phrase_rules(lists, max_length, caps)


def target_rules(
    target: Any,
    target_tokens: Any,
    num_bytes: Mapping[str, Any],
    length: Any,
    caps: dict[str, int],
) -> Iterator[Rule]:
    """Yields the rules of the target of `score` and `attention`.

    Args:
        target, target_tokens: whether the row has the one and the other.
        num_bytes: size of both by name.
        length: tokens of the target.
        caps: see `keras_s2s.signatures.CAPS`.
    """
    yield target & target_tokens, ("target: expected none beside target_tokens",)
    for name in ("target", "target_tokens"):
        yield limit_rule(f"{name} bytes", num_bytes[name], caps["text_bytes"])
    yield limit_rule("target tokens", length, caps["source_length"])


def _relation_rules(values: Mapping[str, Any]) -> Iterator[Rule]:
    """Rules of options that another option bounds, or that have to divide another option."""
    for option in OPTIONS.values():
        value = values.get(option.name)
        if option.at_most is not None:
            most = values[option.at_most]
            yield value > most, (f"{option.name}: expected 1 to ", most, ", got ", value)
        if option.divides is not None:
            multiple = values[option.divides]
            expected = f"{option.name}: expected a divisor of {option.divides}, "
            yield (multiple % value) > 0, (expected, multiple, ", got ", value)


def _exclusive_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Whether each option is active that takes part in an exclusion, but for the prefixes."""
    pairs = [(option.name, *option.excludes) for option in OPTIONS.values() if option.excludes]
    names = dict.fromkeys(name for pair in pairs for name in pair if name not in PREFIXES)
    return {name: OPTIONS[name].is_active(values[name]) for name in names}


def _exclusion_rules(active: Mapping[str, Any]) -> Iterator[Rule]:
    """Rules of options that exclude each other, given which of them are active."""
    for option in OPTIONS.values():
        if option.name not in active or not option.excludes:
            continue
        first, *others = option.excludes
        excluded = active[first]
        for name in others:
            excluded = excluded | active[name]
        beside = " or ".join(option.excludes)
        yield active[option.name] & excluded, (f"{option.name}: expected none beside {beside}",)


def _phrase_rules(lists: ListValues, max_length: Any, caps: dict[str, int]) -> Iterator[Rule]:
    for name in PHRASES:
        yield limit_rule(f"{name} bytes", lists.num_bytes[name], caps["list_bytes"])
    yield limit_rule("constraints tokens", lists.num_constraint_tokens, caps["constraints"])
    expected = "constraints: expected tokens that a target can hold, got "
    yield lists.has_unknown, (expected, lists.unknown)
    missing = lists.num_missing_tokens
    expected = "constraints: expected room for "
    yield (
        missing > max_length - lists.prefix_length,
        (expected, missing, " tokens below the maximum of ", max_length),
    )
    yield lists.is_contradiction, ("constraints: expected nothing that is disallowed",)
