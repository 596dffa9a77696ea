"""Corpora read block by block: constant memory, and every error names the file and the line."""

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_s2s.config import Corpus
from keras_s2s.data.alignments import check_links
from keras_s2s.data.feature_files import feature_size, is_frames, open_features, read_features
from keras_s2s.data.line_files import LineReader, is_gzipped
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Features

__all__ = [
    "BLOCK_SIZE",
    "PairBlock",
    "as_list",
    "check_sides",
    "corpus_name",
    "open_corpus",
    "read_lines",
    "read_pairs",
    "read_side",
]

BLOCK_SIZE = 1024  # pairs that are read, found again and tokenised at once


class PairBlock(NamedTuple):
    """Pairs that stand one after the other in a corpus; frames as bytes of float32."""

    sources: list[bytes]
    targets: list[bytes]
    weights: np.ndarray  # float32 [B]
    alignments: list[bytes] | None = None


def as_list(corpora: Corpus | Sequence[Corpus]) -> list[Corpus]:
    """One corpus or several as a list."""
    return [corpora] if isinstance(corpora, Corpus) else list(corpora)


def corpus_name(corpora: Corpus | Sequence[Corpus]) -> str:
    """The files of one corpus or several, for a message."""
    return "; ".join(one.pairs or f"{one.source}, {one.target}" for one in as_list(corpora))


def read_lines(path) -> Iterator[str]:
    """The lines of a UTF-8 text file as `files.Lines` reads them.

    Raises:
        UserError: the file cannot be read, is a damaged `.gz`, or a line of it is not UTF-8.
    """
    lines = LineReader(path)
    try:
        while block := lines.take(BLOCK_SIZE):
            yield from map(bytes.decode, block)
    finally:
        lines.close()


def read_pairs(corpora: Corpus | Sequence[Corpus]) -> Iterator[tuple[str, str]]:
    """The (source, target) pairs of one corpus or several, in order.

    A side is a text, or of a file of frames an array [S, F].

    Raises:
        UserError: as `read_lines`; the files of a corpus have different numbers of lines; a line
            does not hold what its format asks for; or a corpus has no line at all.
    """
    every = itertools.chain.from_iterable(map(_pairs, as_list(corpora)))
    first = next(every, None)  # what can be wrong at the start is said now
    return every if first is None else itertools.chain([first], every)


def read_side(corpora: Corpus | Sequence[Corpus], side: str) -> Iterator[str]:
    """The lines of one side, `source` or `target`, to train a tokenizer on."""
    if side not in ("source", "target"):
        raise ValueError(f"side: expected source or target, came {side!r}")
    return itertools.chain.from_iterable(_side(one, side) for one in as_list(corpora))


def _side(corpus, side):
    if corpus.pairs:
        return (pair[side == "target"] for pair in _pairs(corpus))
    path = getattr(corpus, side)
    return read_features(path) if is_frames(path) else read_lines(path)


def _pairs(corpus):
    rows = open_corpus(corpus)
    try:
        while block := rows.take(BLOCK_SIZE):
            for source, target in zip(block.sources, block.targets, strict=True):
                yield rows.values[0](source), rows.values[1](target)
    finally:
        rows.close()


def check_sides(corpus: Corpus, source, target) -> None:
    """Refuses a corpus whose sides are not what the two tokenizers (or `Features`) read.

    Raises:
        UserError: naming the file.
    """
    for path, reader in ((corpus.source, source), (corpus.target, target)):
        wanted = reader.size if isinstance(reader, Features) else None
        came = feature_size(path) if path is not None and is_frames(path) else None
        if came != wanted:
            kinds = [f"frames of {size} numbers" if size else "text" for size in (wanted, came)]
            raise UserError(f"{path or corpus.pairs}: expected {kinds[0]}, came {kinds[1]}")


def open_corpus(corpus: Corpus) -> "_Reader":
    """A corpus from its first pair on; see `_Reader`."""
    if not corpus.pairs:
        return _Aligned(corpus)
    plain = corpus.pairs.removesuffix(".gz")
    return _Objects(corpus) if plain.endswith(".jsonl") else _Table(corpus)


class _Reader:
    """Pairs in order; goes back to where it was once, but for `.gz`, which it reads again.

    Attributes:
        paths: of its files.
        number: pairs taken so far.
        sequential: whether `seek` has to read what lies between.
    """

    def __init__(self, corpus, *paths):
        self.corpus, self.paths = corpus, paths
        self.files = [open_features(p) if is_frames(p) else LineReader(p) for p in paths]
        self.sequential = any(map(is_gzipped, paths))
        self.values = bytes.decode, bytes.decode  # of each side, what a row's bytes stand for

    @property
    def number(self) -> int:
        return self.files[0].number

    def place(self) -> tuple[int, ...]:
        """Where the next pair begins in each file, in bytes of text."""
        return tuple(file.offset for file in self.files)

    def seek(self, place: Sequence[int], number: int) -> None:
        """Goes to the pair `number` (from 0), which began at `place`."""
        if not self.sequential:
            for file, offset in zip(self.files, place, strict=True):
                file.seek(int(offset), number)
            return
        if number < self.number:
            self.close()
        for file in self.files:
            while file.number < number:
                file.take(min(BLOCK_SIZE, number - file.number))

    def take(self, count: int) -> PairBlock | None:
        """The next pairs, `count` of them but at the end of the corpus; None after it."""
        before = self.number
        rows = self.parse(count, before)
        if not rows.sources and not before:
            raise UserError(
                f"{corpus_name(self.corpus)}: expected at least one pair, came an empty corpus"
            )
        return rows if rows.sources else None

    def parse(self, count, before) -> PairBlock:
        raise NotImplementedError

    def close(self) -> None:
        for file in self.files:
            file.close()


class _Aligned(_Reader):
    """Files in which the lines of one number belong together."""

    def __init__(self, corpus):
        beside = filter(None, (corpus.weights, corpus.alignments))
        super().__init__(corpus, corpus.source, corpus.target, *beside)
        self.values = [
            file.array if is_frames(file.path) else bytes.decode for file in self.files[:2]
        ]

    def parse(self, count, before):
        sources, targets, *rest = blocks = [file.take(count) for file in self.files]
        if len({len(block) for block in blocks}) > 1:
            self._complain()
        weights = np.ones(len(sources), np.float32)
        if self.corpus.weights:
            path = self.files[2].path
            for place, text in enumerate(rest.pop(0)):
                weights[place] = _weight(text, f"{path}:{before + place + 1}")
        alignments = rest[0] if rest else None
        for place, line in enumerate(alignments or ()):
            where = f"{self.files[-1].path}:{before + place + 1}"
            check_links(line, sources[place], targets[place], where)
        return PairBlock(sources, targets, weights, alignments)

    def _complain(self):
        *paths, last = [file.path for file in self.files]
        *counts, least = [file.count() for file in self.files]
        every = "all" if len(counts) > 1 else "both"
        what = "examples" if any(map(is_frames, self.paths)) else "lines"
        raise UserError(
            f"{', '.join(paths)} and {last}: expected as many {what} in {every},"
            f" came {', '.join(map(str, counts))} and {least}"
        )


class _Table(_Reader):
    """One file of source<TAB>target lines, some with <TAB>weight."""

    def __init__(self, corpus):
        super().__init__(corpus, corpus.pairs)

    def parse(self, count, before):
        lines = self.files[0].take(count)
        rows = [line.split(b"\t") for line in lines]
        weights = np.ones(len(rows), np.float32)
        for place, row in enumerate(rows):
            if len(row) != 2:
                weights[place] = self._third(row, before + place + 1)
        return PairBlock([row[0] for row in rows], [row[1] for row in rows], weights)

    def _third(self, row, number):
        place = f"{self.files[0].path}:{number}"
        if len(row) == 3:
            return _weight(row[2], f"{place}: third column")
        came = f"{len(row)} columns" if len(row) > 3 else "no tab"
        raise UserError(f"{place}: expected source<TAB>target, came {came}")


class _Objects(_Reader):
    """One file of JSON objects, one a line, with source, target and, in some, weight."""

    def __init__(self, corpus):
        super().__init__(corpus, corpus.pairs)

    def parse(self, count, before):
        lines = self.files[0].take(count)
        rows = [self._row(line, n) for n, line in enumerate(lines, before + 1)]
        weights = np.array([row[2] for row in rows], np.float32)
        return PairBlock([row[0] for row in rows], [row[1] for row in rows], weights)

    def _row(self, line, number):
        place = f"{self.files[0].path}:{number}"
        try:
            found = json.loads(line)
        except RecursionError:
            raise UserError(f"{place}: expected a JSON object, came one too deep") from None
        except json.JSONDecodeError as error:
            came = f"{error.msg} at column {error.colno}" if line else "an empty line"
            raise UserError(f"{place}: expected a JSON object, came: {came}") from None
        if not isinstance(found, dict):
            raise UserError(f"{place}: expected a JSON object, came {_short(found)}")
        weight = _weight(found["weight"], f"{place}: weight") if "weight" in found else 1.0
        return _text(found, "source", place), _text(found, "target", place), weight


def _text(found, key, place) -> bytes:
    if key not in found:
        came = ", ".join(found) or "no key"
        raise UserError(f"{place}: expected the keys source and target, came {_short(came)}")
    if not isinstance(found[key], str):
        raise UserError(f"{place}: {key}: expected text, came {_short(found[key])}")
    try:
        return found[key].encode()
    except UnicodeEncodeError:
        raise UserError(f"{place}: {key}: expected Unicode text, came half a surrogate") from None


def _weight(given, place) -> float:
    """A weight as a number; `given` is text of a file or a value of JSON."""
    try:
        weight = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0.0 <= weight < math.inf:
        came = given.decode() if isinstance(given, bytes) else given
        raise UserError(f"{place}: expected a weight of at least 0, came {_short(came)}")
    return weight


def _short(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
