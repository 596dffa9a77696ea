"""Requests to an edge translator: texts and options as ids, and the error of each row.

The rules, their order and their messages are those of a served model.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_s2s.serving.edge.tokenizer import END, UNKNOWN, UNKNOWN_ID
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.option_groups import active_options, constraint_options
from keras_s2s.signatures.request_rules import (
    PHRASES,
    PREFIXES,
    ListValues,
    Rule,
    bound_rules,
    limit_rule,
    search_rules,
    target_rules,
)

__all__ = [
    "RequestRow",
    "RequestSource",
    "needs_constraints",
    "split_items",
    "target_error",
    "target_ids",
    "tokenize_options",
    "tokenize_source",
]

MAX_RATIO = 100.0


@dataclass
class RequestSource:
    """A source text, tokenized.

    Attributes:
        pieces: its tokens, at most as many as the cap.
        ids, copy_ids: with the end; `copy_ids` for a model that copies.
        length: number of tokens before they are truncated.
        error: its error message, or "".
    """

    pieces: list[str]
    ids: list[int]
    copy_ids: list[int]
    length: int
    error: str


@dataclass
class RequestRow:
    """The options of one row.

    Attributes:
        options: values by name; `min_length` and `max_length` after ratios and `max_new_tokens`.
        error: the row's error message, or "".
        prefix: ids of the prefix.
        constraints, disallowed: lists of sequences of ids.
        unknown: tokens of the constraints that no target can hold.
    """

    options: dict[str, Any]
    error: str = ""
    prefix: list[int] = field(default_factory=list)
    constraints: list[list[int]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    disallowed: list[list[int]] = field(default_factory=list)


def tokenize_source(text: str | bytes, tokenizers: Sequence, caps: dict[str, int]) -> RequestSource:
    """Tokenizes a source text.

    Args:
        text: the text.
        tokenizers: source and target tokenizer.
        caps: see `keras_s2s.signatures.CAPS`.
    """
    raw = text if isinstance(text, bytes) else text.encode()
    pieces = tokenizers[0].tokenize(raw[: caps["text_bytes"]])
    rules = [
        limit_rule("text bytes", len(raw), caps["text_bytes"]),
        limit_rule("text tokens", len(pieces), caps["source_length"]),
    ]
    kept = pieces[: caps["source_length"]]
    ids = [*tokenizers[0].ids(kept), END]
    copy_ids = [*target_ids(kept, kept, tokenizers[1], True), END]
    return RequestSource(kept, ids, copy_ids, len(pieces), _first_error(rules))


def target_ids(source: list[str], pieces: list[str], target: Any, copies: bool) -> list[int]:
    """Returns the ids of target tokens; an unknown token that the source contains is its copy.

    Args:
        source: the source's tokens.
        pieces: tokens of a target.
        target: the target's tokenizer.
        copies: whether the model copies.
    """
    ids = target.ids(pieces)
    if not copies:
        return ids
    first = {piece: position for position, piece in reversed(list(enumerate(source)))}
    size = len(target.vocabulary)
    return [
        size + first[piece] if number == UNKNOWN_ID and piece in first else number
        for number, piece in zip(ids, pieces)
    ]


def tokenize_options(
    values: Mapping[str, Any],
    source: RequestSource,
    target: Any,
    copies: bool,
    caps: dict[str, int],
) -> RequestRow:
    """Tokenizes the options of one row and checks them.

    Args:
        values: every option of `translate` by name.
        source: the row's source.
        target: the target's tokenizer.
        copies: whether the model copies.
        caps: see `keras_s2s.signatures.CAPS`.
    """

    def ids(pieces: list[str]) -> list[int]:
        return target_ids(source.pieces, pieces, target, copies)

    row = RequestRow(dict(values))
    prefix_tokens = split_items(values["prefix_tokens"])
    row.prefix = ids([*target.tokenize(_raw(values["target_prefix"])), *prefix_tokens])
    for phrase in split_items(values["constraints"]):
        pieces = target.tokenize(_raw(phrase))
        row.constraints += [ids(pieces)] if pieces else []
        row.unknown += [
            piece
            for piece, number in zip(pieces, ids(pieces))
            if number == UNKNOWN_ID and piece != UNKNOWN
        ]
    for phrase in split_items(values["disallowed"]):
        single = ids([phrase])
        is_known = single[0] != UNKNOWN_ID or phrase == UNKNOWN
        row.disallowed += [ids(target.tokenize(_raw(phrase))), *([single] if is_known else [])]
    row.disallowed = [x for x in row.disallowed if 0 < len(x) <= caps["max_length"]]
    min_length, max_length = _lengths(values, len(row.prefix), source.length)
    row.options |= {"min_length": min_length, "max_length": max_length}
    row.error = _options_error(values, row, source, caps)
    return row


def needs_constraints(row: RequestRow) -> bool:
    """Whether a row needs a constrained beam search."""
    numbers = {option.name: row.options[option.name] for option in constraint_options()}
    lists = row.prefix or row.disallowed or row.constraints
    return bool(lists or active_options(numbers))


def target_error(target: str, tokens: str, pieces: list[str], caps: dict[str, int]) -> str:
    """Returns the error message of a target to be scored, or "".

    Args:
        target, tokens: the target as text and as lines of tokens.
        pieces: all its tokens.
        caps: see `keras_s2s.signatures.CAPS`.
    """
    sizes = {"target": len(target.encode()), "target_tokens": len(tokens.encode())}
    return _first_error(target_rules(bool(target), bool(tokens), sizes, len(pieces), caps))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def split_items(lines: str) -> list[str]:
    """Returns the items of an option that is a list: its lines, without empty ones."""
    return [line for line in lines.split("\n") if line]


def _lengths(values: Mapping[str, Any], prefix_length: int, size: int) -> tuple[int, int]:
    """Minimum and maximum number of tokens; see `translator.request_options`."""

    def share(name: str) -> int:
        return math.ceil(min(max(0.0, values[name]), MAX_RATIO) * size)  # 0 for a NaN

    new, longest = values["max_new_tokens"], values["max_length"]
    if new > 0:
        longest = min(longest, prefix_length + new)
    if values["max_length_ratio"] > 0:
        longest = min(longest, share("max_length_ratio"))
    shortest = max(values["min_length"], share("min_length_ratio"))
    return min(shortest, longest), longest


def _options_error(
    values: Mapping[str, Any], row: RequestRow, source: RequestSource, caps: dict[str, int]
) -> str:
    """The first error of a row, or ""."""
    error = _first_error(bound_rules(TRANSLATE, values, caps)) or source.error
    if error:
        return error
    count = sum(map(len, row.constraints))
    lists = ListValues(
        num_bytes={name: len(_raw(values[name])) for name in (*PREFIXES, *PHRASES)},
        prefix_length=len(row.prefix),
        num_constraint_tokens=count,
        num_missing_tokens=_num_missing_tokens(row) if count else 0,
        has_unknown=bool(row.unknown),
        unknown=row.unknown[0] if row.unknown else "",
        is_contradiction=any(
            _contains(phrase, part) for phrase in row.constraints for part in row.disallowed
        ),
    )
    return _first_error(search_rules(values, lists, row.options["max_length"], caps))


def _first_error(rules: Iterator[Rule] | list[Rule]) -> str:
    for is_broken, parts in rules:
        if is_broken:
            return "".join(f"{x:g}" if isinstance(x, float) else str(x) for x in parts)
    return ""


def _num_missing_tokens(row: RequestRow) -> int:
    """Tokens of the constraints that the prefix neither contains nor ends within."""
    missing = [phrase for phrase in row.constraints if not _contains(row.prefix, phrase)]
    begun = [n for x in missing for n in range(1, len(x)) if row.prefix[-n:] == x[:n]]
    return sum(map(len, missing)) - max(begun, default=0)


def _contains(sequence: list[int], part: list[int]) -> bool:
    return any(sequence[i : i + len(part)] == part for i in range(len(sequence)))
