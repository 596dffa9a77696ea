"""Random access to the pairs of corpora by their ids: as text, or tokenized from the cache."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import DROPPED, CorpusIndex
from keras_s2s.data.corpus_readers import open_corpus
from keras_s2s.data.corpus_statistics import CachedCorpus
from keras_s2s.data.line_files import file_stamp, open_binary
from keras_s2s.errors import UserError

__all__ = [
    "CachedExamples",
    "ExampleStore",
    "TextExamples",
    "check_unchanged",
    "concat_rows",
    "select_rows",
]

_RECORD_HEADER = 12  # bytes before the content of a TFRecord: its length and a checksum
_RECORD_OVERHEAD = 16  # bytes of the header and of the checksum behind the content


class ExampleStore:
    """Base class of stores that load pairs by id; a call reads each block of pairs once.

    Args:
        indexes: One index per corpus.

    Attributes:
        names: The names of the arrays that `load` returns.
    """

    names: tuple[str, ...] = ()

    def __init__(self, indexes: Sequence[CorpusIndex]):
        self._indexes = indexes

    def load(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the rows of int64 ids [N], as arrays [N] by their names."""
        order = np.argsort(ids, kind="stable")
        parts, first = [], 0
        for corpus, index in enumerate(self._indexes):
            low, high = np.searchsorted(ids[order], (first, first + len(index.buckets)))
            parts += self._load_corpus(corpus, ids[order[low:high]] - first)
            first += len(index.buckets)
        return _restore_order(parts, order, self.names)

    def close(self) -> None:
        """Closes the files."""
        raise NotImplementedError

    def _load_corpus(self, corpus, positions) -> Iterator[tuple]:
        """Yields the rows at ascending positions of one corpus, block by block."""
        if not len(positions):
            return
        size = self._indexes[corpus].block_size
        for group in np.split(positions, np.flatnonzero(np.diff(positions // size)) + 1):
            block = int(group[0]) // size
            yield self._load_block(corpus, block, group - block * size)

    def _load_block(self, corpus, block, positions) -> tuple:
        """Returns the rows at some positions of a block, in the order of `names`."""
        raise NotImplementedError


class TextExamples(ExampleStore):
    """Text, read from the corpus files.

    A compressed file is read on from its current position, or from its start for an earlier one.
    Where any corpus has alignments, all rows do; those of the other corpora are empty.

    Args:
        corpora: The corpora.
        indexes: One index per corpus.
    """

    names = ("source", "target", "weight")

    def __init__(self, corpora: Sequence[Corpus], indexes: Sequence[CorpusIndex]):
        super().__init__(indexes)
        self._readers = [open_corpus(corpus) for corpus in corpora]
        if any(corpus.alignments for corpus in corpora):
            self.names = (*TextExamples.names, "alignment")

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def _load_block(self, corpus, block, positions):
        index, reader = self._indexes[corpus], self._readers[corpus]
        reader.seek(index.offsets[block], block * index.block_size)
        pairs = reader.read(index.block_size)
        columns = [pairs.sources, pairs.targets]
        if "alignment" in self.names:
            columns.append(pairs.alignments or [b""] * len(pairs.sources))
        rows = positions.tolist()
        source, target, *alignment = (
            _object_array([column[row] for row in rows]) for column in columns
        )
        return source, target, pairs.weights[positions], *alignment


class CachedExamples(ExampleStore):
    """Tokenized rows of the cache: each side's int32 ids as bytes, little-endian.

    Args:
        examples: The location of each corpus' examples.
        indexes: One index per corpus.

    Raises:
        UserError: By `load`, when a record is damaged.
    """

    def __init__(self, examples: Sequence[CachedCorpus], indexes: Sequence[CorpusIndex]):
        super().__init__(indexes)
        self._examples = examples
        self._files = [None] * len(examples)
        self._lengths = {"ids": "source_length", "labels": "target_length"}
        if examples[0].copy:
            self._lengths["copy_ids"] = "source_length"
        self.names = (*self._lengths, "weight")

    def close(self) -> None:
        for file in filter(None, self._files):
            file.close()

    def _load_block(self, corpus, block, positions):
        record = self._read_record(corpus, block)
        size = self._indexes[corpus].block_size
        buckets = self._indexes[corpus].buckets[block * size : (block + 1) * size]
        # a record holds only the pairs that are kept
        rows = (np.cumsum(buckets != DROPPED) - 1)[positions]
        columns = [
            _select_slices(record[name], record[length], rows)
            for name, length in self._lengths.items()
        ]
        return *columns, np.frombuffer(record["weight"], "<f4")[rows]

    def _read_record(self, corpus, block):
        cached = self._examples[corpus]
        self._files[corpus] = self._files[corpus] or open_binary(cached.path)
        begin, end = cached.ends[block : block + 2].tolist()
        self._files[corpus].seek(begin + _RECORD_HEADER)
        record = self._files[corpus].read(end - begin - _RECORD_OVERHEAD)
        if zlib.crc32(record) != cached.sums[block]:
            expected = f"expected the record that was written at byte {begin}"
            raise UserError(f"{cached.path}: {expected}, got a damaged one: delete the file")
        features = tf.train.Example.FromString(record).features.feature
        return {name: features[name].bytes_list.value[0] for name in features}


def _select_slices(content, lengths, rows):
    """Some rows of concatenated int32 ids, each as bytes."""
    ends = np.cumsum(np.frombuffer(lengths, "<i4").astype(np.int64) * 4)
    begins = np.concatenate([[0], ends])[rows].tolist()
    bounds = zip(begins, ends[rows].tolist(), strict=True)
    return _object_array([content[begin:end] for begin, end in bounds])


def check_unchanged(corpora: Sequence[Corpus], stamps: Sequence[tuple[int, int]]) -> None:
    """Checks that the files of corpora still have their stamps.

    Raises:
        UserError: A file changed; the message names it.
    """
    paths = [path for corpus in corpora for path in open_corpus(corpus).paths]
    for path, stamp in zip(paths, stamps, strict=True):
        if file_stamp(path) != tuple(stamp):
            raise UserError(f"{path}: expected the file that was counted, got a changed one")


def concat_rows(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Concatenates the rows of two dicts of arrays."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def select_rows(rows: dict[str, np.ndarray], positions: np.ndarray) -> dict[str, np.ndarray]:
    """Selects the rows at some positions of a dict of arrays."""
    return {name: values[positions] for name, values in rows.items()}


def _restore_order(parts, order, names):
    """Arrays of the rows in the order of the ids, from parts in the order of the sorted ids."""
    rows = {}
    for column, name in enumerate(names):
        values = [part[column] for part in parts]
        values = np.concatenate(values) if values else np.zeros(0, object)
        rows[name] = np.empty_like(values)
        rows[name][order] = values
    return rows


def _object_array(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array
