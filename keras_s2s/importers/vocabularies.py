"""A vocabulary of another toolkit in the order of our ids."""

import json
from pathlib import Path
from typing import NamedTuple

from keras_s2s.config import UserError
from keras_s2s.tokenizers import SPECIAL_PIECES

__all__ = [
    "ReorderedVocabulary",
    "SpecialIds",
    "read_json",
    "read_vocabulary",
    "reorder_vocabulary",
]


class SpecialIds(NamedTuple):
    """The ids with a meaning, in the other vocabulary; `start` may be one of the others."""

    pad: int
    unknown: int
    start: int
    end: int


class ReorderedVocabulary(NamedTuple):
    """A vocabulary in our order.

    Attributes:
        rows: for each of our ids the other's: pad, unknown, start and end, then all that are left.
        pieces: of our ids 4, 5, ... An id without a piece, or whose piece spells like a special
            one of ours, has a name that no text is cut into.
    """

    rows: list[int]
    pieces: list[str]


def read_json(path) -> dict:
    """A file that holds a JSON object.

    Raises:
        UserError: naming the file, which is missing or none.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: expected a file, got: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, got: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(found).__name__}")
    return found


def read_vocabulary(path, size: int) -> list[str | None]:
    """The pieces of a `{piece: id}` file in the order of their ids.

    An id below `size` may be without a piece, None, as rounded sizes have them.

    Raises:
        UserError: naming the file and the piece whose id is none or stands twice.
    """
    names = [None] * size
    for piece, number in read_json(path).items():
        if type(number) is not int or not 0 <= number < size:
            expected = f"expected an id of 0 to {size - 1}"
            raise UserError(f"{path}: {piece!r}: {expected}, got {number!r}")
        if names[number] is not None:
            problem = f"expected an id of its own, got {number}, which {names[number]!r} has"
            raise UserError(f"{path}: {piece!r}: {problem}")
        names[number] = piece
    return names


def reorder_vocabulary(names: list[str | None], special: SpecialIds) -> ReorderedVocabulary:
    """Puts a vocabulary into our order.

    Our start has a row of its own, so that it is never confused with padding: a copy of what the
    other toolkit starts with, be that its padding or its end.
    """
    own = {special.pad, special.unknown, special.end}
    others = [number for number in range(len(names)) if number not in own]
    nameless = {None, "", *SPECIAL_PIECES}
    pieces = [f"<id {n}>" if names[n] in nameless else names[n] for n in others]
    return ReorderedVocabulary([*special, *others], pieces)
