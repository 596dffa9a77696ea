"""Files of word vectors in the text format of word2vec and GloVe."""

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import regex

from keras_s2s.errors import UserError
from keras_s2s.io import naming_file, open_text

__all__ = ["WordVector", "find_vectors", "read_vectors", "spellings"]

WORD_START = "\N{LOWER ONE EIGHTH BLOCK}"  # of SentencePiece
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


class WordVector(NamedTuple):
    """An entry of a file of word vectors.

    Attributes:
        spelling: the word as the file spells it.
        vector: float32 array [width].
    """

    spelling: str
    vector: np.ndarray


def spellings(vocabulary: Sequence[str], kind: str) -> dict[int, tuple[str, ...]]:
    """The spellings of each vocabulary entry in a file of word vectors, by id.

    Args:
        vocabulary: the tokens in the order of their ids.
        kind: the kind of their tokenizer.

    Example:

    >>> from keras_s2s.training.word_vectors import spellings
    >>> spellings(["House"], "words")
    {0: ('House', 'house')}
    """
    result = {}
    for index, token in enumerate(vocabulary):
        names = [token.lstrip("\t") if kind == "sources" else token]  # tabs number the source
        if kind in ("sentencepiece", "marian", "multilingual", "sources"):
            names.append(names[0].removeprefix(WORD_START))
        names.append(names[-1].lower())
        result[index] = tuple(dict.fromkeys(filter(None, names)))
    return result


def find_vectors(
    path: Path | str, words: Mapping[int, Sequence[str]], width: int
) -> dict[int, WordVector]:
    """Reads the vectors of vocabulary entries, see `read_vectors`.

    A file of words has no vectors for tokens in the middle of a word; a file of subwords does.

    Args:
        path: the file.
        words: the result of `spellings`.
        width: numbers of a vector.
    """
    vectors = read_vectors(path, words, width)
    has_subwords = any(entry.spelling.startswith(WORD_START) for entry in vectors.values())
    if has_subwords or not any(names[0].startswith(WORD_START) for names in words.values()):
        return vectors
    return {index: entry for index, entry in vectors.items() if _is_word(words[index][0])}


def _is_word(token: str) -> bool:
    """Whether a token starts a word, is punctuation, or belongs to a script without spaces."""
    is_punctuation = not any(map(str.isalnum, token))
    return token.startswith(WORD_START) or is_punctuation or bool(UNSPACED.search(token))


def read_vectors(
    path: Path | str, words: Mapping[int, Sequence[str]], width: int
) -> dict[int, WordVector]:
    """Reads the vectors of some words.

    Args:
        path: text, plain or compressed; may start with word2vec's header of two numbers.
        words: the spellings of each word, the preferred one first.
        width: numbers of a vector.

    Returns:
        The vectors by the keys of `words`. Of several lines for a spelling the first counts.

    Raises:
        UserError: the file cannot be read, or a line is not a word with `width` numbers.
    """
    keys_of: dict[bytes, list[tuple[int, int]]] = {}
    for key, names in words.items():
        for rank, spelling in enumerate(names):
            keys_of.setdefault(spelling.encode(), []).append((key, rank))
    vectors: dict[int, WordVector] = {}
    ranks: dict[int, int] = {}
    for number, line in enumerate(_read_lines(path), 1):
        word, read_vector = _parse(f"{path}:{number}", line, width, number == 1)
        for key, rank in keys_of.get(word, ()):
            if key not in ranks or rank < ranks[key]:
                ranks[key], vectors[key] = rank, WordVector(words[key][rank], read_vector())
    return vectors


def _read_lines(path: Path | str) -> Iterator[bytes]:
    with naming_file(path), open(path, "rb") as file:
        yield from open_text(file, path)


def _parse(
    location: str, line: bytes, width: int, is_first: bool
) -> tuple[bytes, Callable[[], np.ndarray]]:
    """The word of a line and a function that reads its vector.

    The line is split from its end because a word may contain spaces. Most words of a large file
    are not needed, so their vectors are not read. The header has the word b"".
    """
    line = line.removeprefix(codecs.BOM_UTF8) if is_first else line
    columns = line.split()
    if is_first and len(columns) == 2 and all(map(bytes.isdigit, columns)):
        if int(columns[1]) != width:
            raise UserError(f"{location}: expected {width} numbers a word, got {int(columns[1])}")
        return b"", lambda: np.zeros(width, np.float32)
    parts = columns if len(columns) == width + 1 else line.rsplit(None, width)
    is_wider = len(columns) > width + 1 and all(map(_is_number, columns[1:]))
    if is_wider or len(parts) != width + 1 or not _is_number(parts[1]):
        actual = f"{len(columns) - 1} of them" if len(columns) > 1 else "no number"
        raise UserError(f"{location}: expected a word and {width} numbers, got {actual}")
    return parts[0], lambda: _read_numbers(location, parts[1:])


def _is_number(text: bytes) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _read_numbers(location: str, parts: Sequence[bytes]) -> np.ndarray:
    try:
        vector = np.array([float(part) for part in parts], np.float32)
    except ValueError:
        vector = np.array([np.nan])
    if not np.isfinite(vector).all():
        raise UserError(f"{location}: expected finite numbers, got others")
    return vector
