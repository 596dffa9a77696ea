"""Corpora read line by line: constant memory, and every error names the file and the line."""

import gzip
import itertools
import zlib
from collections.abc import Iterator

from keras_s2s.config import Corpus, UserError

__all__ = ["name", "read_blocks", "read_lines", "read_pairs", "read_side"]

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # what editors put at the start of a file
_ENDED = object()


def name(corpus: Corpus) -> str:
    """The files of a corpus, for a message."""
    return corpus.pairs or f"{corpus.source}, {corpus.target}"


def read_lines(path) -> Iterator[str]:
    r"""The lines of a UTF-8 text file, gunzipped where its name ends in `.gz`.

    Only `\n` ends a line, and the one before the end of the file may lack it; `\r\n` is read as
    `\n`, and a byte order mark at the start of the file is left out.

    Raises:
        UserError: the file cannot be read, is a damaged `.gz`, or a line of it is not UTF-8.
    """
    for number, line in enumerate(_raw_lines(path), 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            raise UserError(f"{path}:{number}: expected UTF-8, came {came}") from None
        text = text.removesuffix("\n").removesuffix("\r")
        yield text.removeprefix(_MARK) if number == 1 else text


def read_pairs(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """The (source, target) pairs of a corpus.

    Raises:
        UserError: as `read_lines`; the files have different numbers of lines; a line of a pair
            file has not exactly one tab; or there is no line at all.
    """
    pairs = _columns(corpus.pairs) if corpus.pairs else _aligned(corpus.source, corpus.target)
    first = next(pairs, None)
    if first is None:
        raise UserError(f"{name(corpus)}: expected at least one pair, came an empty corpus")
    return itertools.chain([first], pairs)


def read_side(corpus: Corpus, side: str) -> Iterator[str]:
    """The lines of one side of a corpus, `source` or `target`, to train a tokenizer on."""
    if side not in ("source", "target"):
        raise ValueError(f"side: expected source or target, came {side!r}")
    if corpus.pairs:
        return (pair[side == "target"] for pair in read_pairs(corpus))
    return read_lines(getattr(corpus, side))


def read_blocks(corpus: Corpus, size: int) -> Iterator[tuple[list[str], list[str]]]:
    """The pairs of a corpus as (sources, targets) of at most `size` lines each."""
    pairs = read_pairs(corpus)
    while block := list(itertools.islice(pairs, size)):
        sources, targets = zip(*block, strict=True)
        yield list(sources), list(targets)


def _raw_lines(path) -> Iterator[bytes]:
    zipped = str(path).endswith(".gz")
    try:
        with gzip.open(path) if zipped else open(path, "rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole gzip file, came: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: expected a text file, came: {error.strerror}") from None


def _columns(path):
    for number, line in enumerate(read_lines(path), 1):
        columns = line.split("\t")
        if len(columns) != 2:
            came = f"{len(columns)} columns" if len(columns) > 2 else "no tab"
            raise UserError(f"{path}:{number}: expected source<TAB>target, came {came}")
        yield columns[0], columns[1]


def _aligned(source, target):
    sources, targets = read_lines(source), read_lines(target)
    rows = itertools.zip_longest(sources, targets, fillvalue=_ENDED)
    for number, (left, right) in enumerate(rows, 1):
        if left is _ENDED or right is _ENDED:
            longer = number + sum(1 for _ in rows)
            counts = (number - 1, longer) if left is _ENDED else (longer, number - 1)
            raise UserError(
                f"{source} and {target}: expected as many lines in both,"
                f" came {counts[0]} and {counts[1]}"
            )
        yield left, right
