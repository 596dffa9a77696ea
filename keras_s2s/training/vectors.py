"""Files of word vectors: one word a line and its numbers, as word2vec and GloVe write them."""

import gzip
import zlib

import numpy as np

from keras_s2s.config import UserError

__all__ = ["read_vectors"]


def read_vectors(path, words: dict[int, str], width: int) -> dict[int, np.ndarray]:
    """The vectors of some words.

    Args:
        path: text, plain or `.gz`; word2vec's first line, two numbers, may be there.
        words: the words by any keys. A word that the file lacks takes the vector of its lower
            case form.
        width: numbers in a vector.

    Returns:
        float32 vectors [width] by the keys of the words that were found.

    Raises:
        UserError: the file cannot be read, or a line of it is no word with `width` numbers.
    """
    wanted = {}
    for key, word in words.items():
        wanted.setdefault(word.encode(), []).append((key, True))
        if word.lower() != word:
            wanted.setdefault(word.lower().encode(), []).append((key, False))
    found, exact = {}, set()
    for number, line in enumerate(_lines(path), 1):
        word, vector = _parse(f"{path}:{number}", line, width, number == 1)
        for key, is_exact in wanted.get(word, ()):
            if is_exact or key not in exact:
                found[key] = vector()
                exact |= {key} if is_exact else set()
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
    parts = line.rstrip().rsplit(b" ", width)
    columns = line.split()
    if first and len(columns) == 2 and all(map(bytes.isdigit, columns)):
        if int(columns[1]) != width:
            raise UserError(f"{place}: expected {width} numbers a word, came {int(columns[1])}")
        return None, None
    came = f"{len(columns) - 1} of them" if len(columns) > 1 else "no number"
    wider = first and all(map(_is_number, columns[1:])) and len(columns) != width + 1
    if wider or len(parts) != width + 1 or not _is_number(parts[1]):
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
