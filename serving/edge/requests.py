"""A request to an edge translator: texts and options as ids, and what is wrong with each row.

The rules, their order and their messages are those of a served model.
"""

import math
from dataclasses import dataclass, field

from keras_s2s.serving.edge.tokenizer import END, UNKNOWN, UNKNOWN_ID
from keras_s2s.signatures.fields import TRANSLATE

__all__ = [
    "RequestRow",
    "RequestSource",
    "needs_constraints",
    "tokenize_options",
    "tokenize_source",
]


@dataclass
class RequestSource:
    """A text, cut.

    Attributes:
        pieces: its strings, those within the cap.
        ids, copy_ids: with the end; `copy_ids` for a model that copies.
        length: number of pieces, before they were cut.
        error: what is wrong with it, or "".
    """

    pieces: list
    ids: list
    copy_ids: list
    length: int
    error: str


@dataclass
class RequestRow:
    """What is asked of a text: `options` by name, and its lists of ids; `strange` are the pieces of
    the constraints that no target can hold."""

    options: dict
    error: str
    prefix: list = field(default_factory=list)
    constraints: list = field(default_factory=list)
    strange: list = field(default_factory=list)
    disallowed: list = field(default_factory=list)


def tokenize_source(text, tokenizers, caps) -> RequestSource:
    """Cuts a text, a str or bytes."""
    raw = text if isinstance(text, bytes) else text.encode()
    pieces = tokenizers[0].pieces(raw[: caps["text_bytes"]])
    error = _beyond("text bytes", len(raw), caps["text_bytes"])
    error = error or _beyond("text tokens", len(pieces), caps["source_length"])
    kept = pieces[: caps["source_length"]]
    ids = [*tokenizers[0].ids(kept), END]
    copies = [*target_ids(kept, kept, tokenizers[1], True), END]
    return RequestSource(kept, ids, copies, len(pieces), error)


def target_ids(source, pieces, target, copies):
    """The ids of target pieces; an unknown one that stands in the source is its copy."""
    ids = target.ids(pieces)
    if not copies:
        return ids
    first = {piece: place for place, piece in reversed(list(enumerate(source)))}
    size = len(target.vocabulary)
    return [
        size + first[piece] if number == UNKNOWN_ID and piece in first else number
        for number, piece in zip(ids, pieces)
    ]


def tokenize_options(given, source, target, copies, caps) -> RequestRow:
    """What is asked of a text.

    Args:
        given: every option of `translate` but the text, by name.
        source: `RequestSource`.
        target: its tokenizer.
        copies: whether the model copies.
        caps: see `keras_s2s.signatures.CAPS`.
    """

    def ids(pieces):
        return target_ids(source.pieces, pieces, target, copies)

    row = RequestRow(dict(given), "")
    text, tokens = given["target_prefix"], _items(given["prefix_tokens"])
    row.prefix = ids([*target.pieces(_raw(text)), *tokens])
    for one in _items(given["constraints"]):
        pieces = target.pieces(_raw(one))
        row.constraints += [ids(pieces)] if pieces else []
        row.strange += [
            piece
            for piece, number in zip(pieces, ids(pieces))
            if number == UNKNOWN_ID and piece != UNKNOWN
        ]
    for one in _items(given["disallowed"]):
        alone = ids([one])
        known = alone[0] != UNKNOWN_ID or one == UNKNOWN
        row.disallowed += [ids(target.pieces(_raw(one))), *([alone] if known else [])]
    row.disallowed = [x for x in row.disallowed if 0 < len(x) <= caps["max_length"]]
    shortest, longest = _lengths(given, len(row.prefix), source.length)
    row.options |= {"min_length": shortest, "max_length": longest}
    row.error = next(filter(None, _problems(given, row, source, longest, caps)), "")
    return row


def needs_constraints(row) -> bool:
    """Whether a row asks for more than the plain beam."""
    o = row.options
    return bool(
        o["coverage_penalty"]
        or o["no_repeat_ngram"]
        or o["repetition_penalty"] != 1
        or row.prefix
        or row.disallowed
        or row.constraints
        or o["beam_groups"] > 1
        or o["alternatives_at"] >= 0
    )


def _raw(text):
    return text.encode("utf-8", "surrogateescape")


def _items(lines):
    return [line for line in lines.split("\n") if line]


def _lengths(given, prefix, size):
    """Fewest and most tokens."""

    def share(name):
        return math.ceil(min(max(given[name], 0.0), 100.0) * size)

    new, ratio = given["max_new_tokens"], given["max_length_ratio"]
    longest = min(given["max_length"], prefix + new) if new > 0 else given["max_length"]
    if ratio > 0:
        longest = min(longest, share("max_length_ratio"))
    shortest = max(given["min_length"], share("min_length_ratio"))
    return min(shortest, longest), longest


def _problems(given, row, source, longest, caps):
    """Messages of all that is wrong, "" between them."""
    for name, one in TRANSLATE.options().items():
        if one.low is not None:
            yield _outside(name, given[name], one.low, caps.get(one.high, one.high))
    yield source.error
    if given["target_prefix"] and given["prefix_tokens"]:
        yield "target_prefix: expected none beside prefix_tokens"
    for name in ("target_prefix", "prefix_tokens", "constraints", "disallowed"):
        yield _beyond(f"{name} bytes", len(_raw(given[name])), caps["list_bytes"])
    prefix, beam, groups = len(row.prefix), given["beam_size"], given["beam_groups"]
    wanted, place = given["num_hypotheses"], given["alternatives_at"]
    least, most, apart = given["min_length"], given["max_length"], place >= 0
    if prefix > longest:
        came = f"at most {longest} tokens, the maximum, came {prefix}"
        yield f"target_prefix: expected {came}"
    if wanted > beam:
        yield f"num_hypotheses: expected 1 to {beam}, came {wanted}"
    if beam % max(groups, 1):
        yield f"beam_groups: expected a divisor of beam_size, {beam}, came {groups}"
    if least > most:
        yield f"min_length: expected at most max_length, {most}, came {least}"
    if apart and place < prefix:
        yield f"alternatives_at: expected at least the prefix's length, {prefix}, came {place}"
    if apart and groups > 1:
        yield "alternatives_at: expected none beside beam_groups"
    size = sum(map(len, row.constraints))
    yield _beyond("constraints tokens", size, caps["constraints"])
    if row.strange:
        yield f"constraints: expected tokens that a target can hold, came {row.strange[0]}"
    if size and (apart or groups > 1):
        yield "constraints: expected none beside beam_groups or alternatives_at"
    if size and (needed := _needed(row)) > longest - prefix:
        yield f"constraints: expected room for {needed} tokens below the maximum of {longest}"
    if any(_holds(phrase, one) for phrase in row.constraints for one in row.disallowed):
        yield "constraints: expected nothing that is disallowed"


def _needed(row):
    """Tokens of the constraints that the prefix neither holds nor ends within."""
    left = [phrase for phrase in row.constraints if not _holds(row.prefix, phrase)]
    begun = [n for x in left for n in range(1, len(x)) if row.prefix[-n:] == x[:n]]
    return sum(map(len, left)) - max(begun, default=0)


def _outside(name, value, low, high):
    if low <= value <= high:  # False of a NaN
        return ""
    low, most, came = (f"{x:g}" if isinstance(x, float) else x for x in (low, high, value))
    return f"{name}: expected {low} to {most}, came {came}"


def _beyond(name, value, high):
    return f"{name}: expected 0 to {high}, came {value}" if value > high else ""


def _holds(sequence, part):
    return any(sequence[i : i + len(part)] == part for i in range(len(sequence)))
