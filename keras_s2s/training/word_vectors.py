"""Files of word vectors: one word a line and its numbers, as word2vec and GloVe write them."""

import codecs
import gzip
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import regex

from keras_s2s.errors import UserError

__all__ = ["WordVector", "find_vectors", "read_vectors", "spellings"]

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # before the first piece of a word, in SentencePiece
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


class WordVector(NamedTuple):
    """The spelling under which a word stands in a file, and its numbers there."""

    spelling: str
    vector: np.ndarray  # float32 [width]


def spellings(vocabulary: Sequence[str], kind: str) -> dict[int, tuple[str, ...]]:
    """How the entries of a vocabulary may be spelt in a file of vectors, by their ids.

    Args:
        vocabulary: the pieces in the order of their ids.
        kind: of their tokenizer.
    """
    found = {}
    for place, piece in enumerate(vocabulary):
        names = [piece.lstrip("\t") if kind == "sources" else piece]  # tabs say which source's
        if kind in ("sentencepiece", "marian", "multilingual", "sources"):
            names.append(names[0].removeprefix(SPACE))
        names.append(names[-1].lower())
        found[place] = tuple(dict.fromkeys(filter(None, names)))
    return found


def find_vectors(path, words: dict[int, Sequence[str]], width: int) -> dict[int, WordVector]:
    """As `read_vectors`; a file of words gives nothing for the middle of one, one of pieces does.

    Args:
        words: as `spellings` gives them.
    """
    found = read_vectors(path, words, width)
    pieces = any(one.spelling.startswith(SPACE) for one in found.values())
    if pieces or not any(names[0].startswith(SPACE) for names in words.values()):
        return found
    return {place: one for place, one in found.items() if _stands_alone(words[place][0])}


def _stands_alone(piece):
    """Whether a piece begins a word, is no word, or is of a script without spaces."""
    return piece.startswith(SPACE) or not any(map(str.isalnum, piece)) or UNSPACED.search(piece)


def read_vectors(path, words: dict[int, Sequence[str]], width: int) -> dict[int, WordVector]:
    """The vectors of some words.

    Args:
        path: text, plain or `.gz`; word2vec's first line, two numbers, may be there.
        words: by any keys the spellings of words, the one to be preferred first.
        width: numbers in a vector.

    Returns:
        what was found by the keys of the words; of equal lines the first counts.

    Raises:
        UserError: the file cannot be read, or a line of it is no word with `width` numbers.
    """
    wanted = {}
    for key, spellings in words.items():
        for rank, spelling in enumerate(spellings):
            wanted.setdefault(spelling.encode(), []).append((key, rank))
    found, ranks = {}, {}
    for number, line in enumerate(_lines(path), 1):
        word, vector = _parse(f"{path}:{number}", line, width, number == 1)
        for key, rank in wanted.get(word, ()):
            if key not in ranks or rank < ranks[key]:
                ranks[key], found[key] = rank, WordVector(words[key][rank], vector())
    return found


def _lines(path):
    try:
        with gzip.open(path) if str(path).endswith(".gz") else open(path, "rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole gzip file, came: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: expected a file of vectors, came: {error.strerror}") from None


def _parse(place, line, width, first):
    """(word, a function that gives its vector), cut from behind as a word may hold spaces."""
    line = line.removeprefix(codecs.BOM_UTF8) if first else line
    columns = line.split()
    if first and len(columns) == 2 and all(map(bytes.isdigit, columns)):
        if int(columns[1]) != width:
            raise UserError(f"{place}: expected {width} numbers a word, came {int(columns[1])}")
        return None, None
    parts = columns if len(columns) == width + 1 else line.rsplit(None, width)
    wider = len(columns) > width + 1 and all(map(_is_number, columns[1:]))
    if wider or len(parts) != width + 1 or not _is_number(parts[1]):
        came = f"{len(columns) - 1} of them" if len(columns) > 1 else "no number"
        raise UserError(f"{place}: expected a word and {width} numbers, came {came}")
    # most words of a large file are not wanted: their numbers are not read
    return parts[0], lambda: _numbers(place, parts[1:])


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _numbers(place, parts):
    try:
        vector = np.array([float(part) for part in parts], np.float32)
    except ValueError:
        vector = np.array([np.nan])
    if not np.isfinite(vector).all():
        raise UserError(f"{place}: expected finite numbers, came others")
    return vector
