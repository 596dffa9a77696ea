"""Vocabularies of other toolkits, reordered to the ids of this package."""

import json
from pathlib import Path
from typing import NamedTuple

from keras_s2s.errors import UserError
from keras_s2s.tokenizers import RESERVED_TOKENS

__all__ = [
    "ReorderedVocabulary",
    "SpecialIds",
    "read_json",
    "read_vocabulary",
    "reorder_vocabulary",
]


class SpecialIds(NamedTuple):
    """Special ids of the other vocabulary; `start` may equal another special id."""

    pad: int
    unknown: int
    start: int
    end: int


class ReorderedVocabulary(NamedTuple):
    """A vocabulary in the order of this package's ids.

    Attributes:
        rows: the id in the other vocabulary of each id: pad, unknown, start, end, then the rest.
        pieces: the tokens of ids 4, 5, ... An id without a token, or whose token equals a special
            token of this package, has a name that no text is split into.
    """

    rows: list[int]
    pieces: list[str]


def read_json(path: Path | str) -> dict:
    """Reads a file with a JSON object.

    Raises:
        UserError: the file is missing or does not hold a JSON object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: expected a file, got: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, got: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def read_vocabulary(path: Path | str, size: int) -> list[str | None]:
    """Reads the tokens of a `{token: id}` file in the order of ids.

    Args:
        path: the file.
        size: size of the vocabulary. Ids without a token are None; rounded-up sizes have some.

    Raises:
        UserError: an id is invalid or occurs twice; the message names the file and the token.
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
    """Puts a vocabulary into the order of this package.

    The start id has a separate row so that it differs from padding: a copy of the row that the
    other toolkit starts with, its padding or its end.

    Args:
        names: tokens in the order of the other toolkit's ids; None for an id without a token.
        special: the special ids of the other toolkit.

    Example:

    >>> from keras_s2s.importers.vocabularies import SpecialIds, reorder_vocabulary
    >>> reorder_vocabulary(["</s>", "<unk>", "a", "<pad>"], SpecialIds(3, 1, 3, 0)).rows
    [3, 1, 3, 0, 2]
    """
    own = {special.pad, special.unknown, special.end}
    others = [number for number in range(len(names)) if number not in own]
    nameless = {None, "", *RESERVED_TOKENS}
    pieces = [f"<id {n}>" if names[n] in nameless else names[n] for n in others]
    return ReorderedVocabulary([*special, *others], pieces)
