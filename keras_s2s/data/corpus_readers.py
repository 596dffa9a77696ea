"""Block readers of corpora: constant memory, and errors that name the file and the line."""

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_s2s.config import Corpus
from keras_s2s.data.alignments import check_links
from keras_s2s.data.feature_files import feature_size, is_frames, open_features, read_features
from keras_s2s.data.line_files import LineReader
from keras_s2s.errors import UserError
from keras_s2s.io import check_rereadable, strip_compression_suffix
from keras_s2s.tokenizers import Features, Tokenizer

__all__ = [
    "BLOCK_SIZE",
    "CorpusReader",
    "PairBlock",
    "as_list",
    "check_files",
    "check_sides",
    "corpus_name",
    "open_corpus",
    "read_lines",
    "read_pairs",
    "read_side",
]

BLOCK_SIZE = 1024  # pairs that are read, located and tokenized together


class PairBlock(NamedTuple):
    """Consecutive pairs of a corpus; a sequence of features is the bytes of its float32 values."""

    sources: list[bytes]
    targets: list[bytes]
    weights: np.ndarray  # float32 [B]
    alignments: list[bytes] | None = None


def as_list(corpora: Corpus | Sequence[Corpus]) -> list[Corpus]:
    """Returns one corpus or several as a list."""
    return [corpora] if isinstance(corpora, Corpus) else list(corpora)


def corpus_name(corpora: Corpus | Sequence[Corpus]) -> str:
    """Returns the files of one corpus or several, for a message."""
    return "; ".join(
        corpus.pairs or f"{corpus.source}, {corpus.target}" for corpus in as_list(corpora)
    )


def read_lines(path: Path | str) -> Iterator[str]:
    r"""Yields the lines of a UTF-8 text file; see `LineReader`.

    Raises:
        UserError: The file cannot be read, is damaged, or a line is not UTF-8.

    Example:

    >>> import tempfile, pathlib
    >>> from keras_s2s.data import read_lines
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "text"
    >>> _ = path.write_text("one\ntwo\n")
    >>> list(read_lines(path))
    ['one', 'two']
    """
    reader = LineReader(path)
    try:
        while block := reader.read(BLOCK_SIZE):
            yield from map(bytes.decode, block)
    finally:
        reader.close()


def read_pairs(corpora: Corpus | Sequence[Corpus]) -> Iterator[tuple[str, str]]:
    """Yields the (source, target) pairs of one corpus or several, in order.

    A side is a string, or an array [S, F] where its file holds features.

    Args:
        corpora: One corpus or several. The first pair is read at once, so that a missing file is
            reported by the call itself.

    Raises:
        UserError: As `read_lines`; the files of a corpus have different numbers of lines; a line
            does not have the expected format; or a corpus is empty.
    """
    pairs = itertools.chain.from_iterable(map(_pairs, as_list(corpora)))
    first = next(pairs, None)
    return pairs if first is None else itertools.chain([first], pairs)


def read_side(corpora: Corpus | Sequence[Corpus], side: str) -> Iterator[str]:
    """Yields one side of the pairs, for example to train a tokenizer.

    Args:
        corpora: One corpus or several.
        side: `"source"` or `"target"`.
    """
    if side not in ("source", "target"):
        raise ValueError(f"side: expected source or target, got {side!r}")
    return itertools.chain.from_iterable(_side(corpus, side) for corpus in as_list(corpora))


def _side(corpus, side):
    if corpus.pairs:
        return (pair[side == "target"] for pair in _pairs(corpus))
    path = getattr(corpus, side)
    return read_features(path) if is_frames(path) else read_lines(path)


def _pairs(corpus):
    reader = open_corpus(corpus)
    decode_source, decode_target = reader.decoders
    try:
        while block := reader.read(BLOCK_SIZE):
            for source, target in zip(block.sources, block.targets, strict=True):
                yield decode_source(source), decode_target(target)
    finally:
        reader.close()


def check_files(corpora: Corpus | Sequence[Corpus]) -> None:
    """Checks that the files of corpora can be read more than once.

    Raises:
        UserError: A file is a pipe or a device.
    """
    for corpus in as_list(corpora):
        for path in (corpus.source, corpus.target, corpus.pairs, corpus.weights, corpus.alignments):
            if path is not None:
                check_rereadable(path)


def check_sides(corpus: Corpus, source: Tokenizer | Features, target: Tokenizer | Features) -> None:
    """Checks that each side of a corpus is what its tokenizer reads: text or features.

    Raises:
        UserError: A side is not; the message names the file.
    """
    for path, tokenizer in ((corpus.source, source), (corpus.target, target)):
        expected = tokenizer.size if isinstance(tokenizer, Features) else None
        actual = feature_size(path) if path is not None and is_frames(path) else None
        if actual != expected:
            kinds = [f"frames of {size} numbers" if size else "text" for size in (expected, actual)]
            raise UserError(f"{path or corpus.pairs}: expected {kinds[0]}, got {kinds[1]}")


def open_corpus(corpus: Corpus) -> "CorpusReader":
    """Returns a reader at the first pair of a corpus, by the format of its files."""
    if not corpus.pairs:
        return _AlignedReader(corpus)
    plain = strip_compression_suffix(corpus.pairs)
    return _JSONLinesReader(corpus) if plain.endswith(".jsonl") else _TableReader(corpus)


class CorpusReader:
    """Base class of readers that return the pairs of a corpus in blocks.

    A reader returns to a position it had before. For that it reads a compressed file from its
    start.

    Args:
        corpus: The corpus.
        *paths: Its files.

    Attributes:
        paths: The files.
        num_read: Number of pairs read so far.
        decoders: For each side, the function from the bytes of a pair to its string or features.
    """

    def __init__(self, corpus: Corpus, *paths: str):
        self.corpus, self.paths = corpus, paths
        self.files = [
            open_features(path) if is_frames(path) else LineReader(path) for path in paths
        ]
        self.decoders = bytes.decode, bytes.decode

    @property
    def num_read(self) -> int:
        return self.files[0].num_read

    @property
    def sequential(self) -> bool:
        """Whether `seek` has to read the pairs in between."""
        return any(isinstance(file, LineReader) and file.is_compressed for file in self.files)

    def offsets(self) -> tuple[int, ...]:
        """Returns the position of the next pair in each file, in bytes of text."""
        return tuple(file.offset for file in self.files)

    def seek(self, offsets: Sequence[int], num_read: int) -> None:
        """Continues with pair `num_read`, counted from 0, which has the positions `offsets`."""
        if not self.sequential:
            for file, offset in zip(self.files, offsets, strict=True):
                file.seek(int(offset), num_read)
            return
        if num_read < self.num_read:
            self.close()
        for file in self.files:
            while file.num_read < num_read:
                file.read(min(BLOCK_SIZE, num_read - file.num_read))

    def read(self, count: int) -> PairBlock | None:
        """Returns the next `count` pairs, fewer at the end of the corpus, or None after it.

        Raises:
            UserError: A file cannot be read, a line is invalid, or the corpus is empty.
        """
        first = self.num_read
        block = self._parse(count, first)
        if not block.sources and not first:
            raise UserError(
                f"{corpus_name(self.corpus)}: expected at least one pair, got an empty corpus"
            )
        return block if block.sources else None

    def _parse(self, count, first) -> PairBlock:
        """Reads and parses `count` pairs after the `first` ones."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the files."""
        for file in self.files:
            file.close()


class _AlignedReader(CorpusReader):
    """Aligned files: line N of each belongs to pair N."""

    def __init__(self, corpus):
        optional = filter(None, (corpus.weights, corpus.alignments))
        super().__init__(corpus, corpus.source, corpus.target, *optional)
        self.decoders = [
            file.to_array if is_frames(file.path) else bytes.decode for file in self.files[:2]
        ]

    def _parse(self, count, first):
        sources, targets, *optional = blocks = [file.read(count) for file in self.files]
        if len({len(block) for block in blocks}) > 1:
            self._raise_lengths_differ()
        weights = np.ones(len(sources), np.float32)
        if self.corpus.weights:
            path = self.files[2].path
            for row, text in enumerate(optional.pop(0)):
                weights[row] = _parse_weight(text, f"{path}:{first + row + 1}")
        alignments = optional[0] if optional else None
        for row, line in enumerate(alignments or ()):
            location = f"{self.files[-1].path}:{first + row + 1}"
            check_links(line, sources[row], targets[row], location)
        return PairBlock(sources, targets, weights, alignments)

    def _raise_lengths_differ(self):
        *paths, last_path = [file.path for file in self.files]
        *counts, last_count = [file.count() for file in self.files]
        every = "all" if len(counts) > 1 else "both"
        unit = "examples" if any(map(is_frames, self.paths)) else "lines"
        raise UserError(
            f"{', '.join(paths)} and {last_path}: expected as many {unit} in {every},"
            f" got {', '.join(map(str, counts))} and {last_count}"
        )


class _TableReader(CorpusReader):
    """One file of source<TAB>target lines, with an optional third column for the weight."""

    def __init__(self, corpus):
        super().__init__(corpus, corpus.pairs)

    def _parse(self, count, first):
        rows = [line.split(b"\t") for line in self.files[0].read(count)]
        weights = np.ones(len(rows), np.float32)
        for number, row in enumerate(rows):
            if len(row) != 2:
                weights[number] = self._parse_third_column(row, first + number + 1)
        return PairBlock([row[0] for row in rows], [row[1] for row in rows], weights)

    def _parse_third_column(self, row, number):
        location = f"{self.files[0].path}:{number}"
        if len(row) == 3:
            return _parse_weight(row[2], f"{location}: third column")
        columns = f"{len(row)} columns" if len(row) > 3 else "no tab"
        raise UserError(f"{location}: expected source<TAB>target, got {columns}")


class _JSONLinesReader(CorpusReader):
    """One file of JSON objects, one per line, with the keys source, target and perhaps weight."""

    def __init__(self, corpus):
        super().__init__(corpus, corpus.pairs)

    def _parse(self, count, first):
        lines = self.files[0].read(count)
        rows = [self._parse_row(line, number) for number, line in enumerate(lines, first + 1)]
        weights = np.array([row[2] for row in rows], np.float32)
        return PairBlock([row[0] for row in rows], [row[1] for row in rows], weights)

    def _parse_row(self, line, number):
        location = f"{self.files[0].path}:{number}"
        try:
            fields = json.loads(line)
        except RecursionError:
            raise UserError(
                f"{location}: expected a JSON object, got one nested too deeply"
            ) from None
        except json.JSONDecodeError as error:
            problem = f"{error.msg} at column {error.colno}" if line else "an empty line"
            raise UserError(f"{location}: expected a JSON object, got: {problem}") from None
        if not isinstance(fields, dict):
            raise UserError(f"{location}: expected a JSON object, got {_shorten(fields)}")
        weight = 1.0
        if "weight" in fields:
            weight = _parse_weight(fields["weight"], f"{location}: weight")
        source, target = (_parse_text(fields, key, location) for key in ("source", "target"))
        return source, target, weight


def _parse_text(fields, key, location) -> bytes:
    if key not in fields:
        keys = _shorten(", ".join(fields) or "no key")
        raise UserError(f"{location}: expected the keys source and target, got {keys}")
    if not isinstance(fields[key], str):
        raise UserError(f"{location}: {key}: expected text, got {_shorten(fields[key])}")
    try:
        return fields[key].encode()
    except UnicodeEncodeError:
        raise UserError(f"{location}: {key}: expected Unicode text, got a lone surrogate") from None


def _parse_weight(value, location) -> float:
    """The weight of a pair, from the bytes of a text file or from a JSON value."""
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0.0 <= weight < math.inf:
        shown = _shorten(value.decode() if isinstance(value, bytes) else value)
        raise UserError(f"{location}: expected a weight of at least 0, got {shown}")
    return weight


def _shorten(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
