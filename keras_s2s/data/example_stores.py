"""The rows of any pairs, found by their numbers: as text, or tokenised from the cache."""

import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import DROPPED, CorpusIndex
from keras_s2s.data.corpus_readers import open_corpus
from keras_s2s.data.corpus_statistics import CachedCorpus
from keras_s2s.data.line_files import file_stamp, open_binary
from keras_s2s.errors import UserError

__all__ = ["CachedExamples", "TextExamples", "check_unchanged", "concat_rows", "select_rows"]


class _Store:
    """Corpora whose pairs can be loaded by id; each block of them is read once a call.

    Attributes:
        names: of the arrays that `load` gives.
    """

    names = ()

    def __init__(self, indexes: Sequence[CorpusIndex]):
        self._indexes = indexes

    def load(self, ids) -> dict:
        """Int64 ids [N] -> their rows, arrays [N] by the names of `names`."""
        order = np.argsort(ids, kind="stable")
        parts, first = [], 0
        for corpus, index in enumerate(self._indexes):
            low, high = np.searchsorted(ids[order], (first, first + len(index.buckets)))
            parts += self._parts(corpus, ids[order[low:high]] - first)
            first += len(index.buckets)
        return _unsorted(parts, order, self.names)

    def close(self) -> None:
        """Lets go of the files."""
        raise NotImplementedError

    def _parts(self, corpus, places):
        """The rows at rising `places` of one corpus, block by block."""
        if not len(places):
            return
        size = self._indexes[corpus].block
        for mine in np.split(places, np.flatnonzero(np.diff(places // size)) + 1):
            block = int(mine[0]) // size
            yield self._rows(corpus, block, mine - block * size)

    def _rows(self, corpus, block, inside):
        """The rows at some places `inside` a block, in the order of `names`."""
        raise NotImplementedError


class TextExamples(_Store):
    """Text, read from where it lies; a `.gz` from where it was left, or from its start again.

    Where any corpus has alignments the rows do too, empty ones in the others.

    Args:
        corpora: the files.
        indexes: of each corpus.
    """

    names = ("source", "target", "weight")

    def __init__(self, corpora: Sequence[Corpus], indexes: Sequence[CorpusIndex]):
        super().__init__(indexes)
        self._readers = [open_corpus(corpus) for corpus in corpora]
        if any(corpus.alignments for corpus in corpora):
            self.names = (*TextExamples.names, "alignment")

    def close(self):
        for reader in self._readers:
            reader.close()

    def _rows(self, corpus, block, inside):
        index, reader = self._indexes[corpus], self._readers[corpus]
        reader.seek(index.places[block], block * index.block)
        found, places = reader.take(index.block), inside.tolist()
        sides = [[side[place] for place in places] for side in (found.sources, found.targets)]
        rows = _objects(sides[0]), _objects(sides[1]), found.weights[inside]
        if "alignment" not in self.names:
            return rows
        links = found.alignments or [b""] * len(found.sources)
        return *rows, _objects([links[place] for place in places])


class CachedExamples(_Store):
    """Tokenised rows of the cache: each side's int32 ids as bytes, little-endian.

    Args:
        examples: where they lie.
        indexes: of each corpus.

    Raises:
        UserError: from `load`, when a record is damaged.
    """

    def __init__(self, examples: Sequence[CachedCorpus], indexes: Sequence[CorpusIndex]):
        super().__init__(indexes)
        self._examples = examples
        self._files = [None] * len(examples)
        self._lengths = {"ids": "source_length", "labels": "target_length"}
        if examples[0].copy:
            self._lengths["copy_ids"] = "source_length"
        self.names = (*self._lengths, "weight")

    def close(self):
        for file in filter(None, self._files):
            file.close()

    def _rows(self, corpus, block, inside):
        features = self._read(corpus, block)
        size = self._indexes[corpus].block
        buckets = self._indexes[corpus].buckets[block * size : (block + 1) * size]
        ranks = (np.cumsum(buckets != DROPPED) - 1)[inside]  # only pairs that are kept lie there
        sides = [
            _slices(features[name], features[length], ranks)
            for name, length in self._lengths.items()
        ]
        return *sides, np.frombuffer(features["weight"], "<f4")[ranks]

    def _read(self, corpus, block):
        where = self._examples[corpus]
        self._files[corpus] = self._files[corpus] or open_binary(where.path)
        begin, end = where.ends[block : block + 2].tolist()
        self._files[corpus].seek(begin + 12)  # a record's length and its check stand before it
        record = self._files[corpus].read(end - begin - 16)
        if zlib.crc32(record) != where.sums[block]:
            expected = f"expected the record that was written at byte {begin}"
            raise UserError(f"{where.path}: {expected}, came a damaged one: delete the file")
        found = tf.train.Example.FromString(record).features.feature
        return {name: found[name].bytes_list.value[0] for name in found}


def _slices(content, lengths, ranks):
    """Some rows of ids that lie one after the other, each as bytes."""
    ends = np.cumsum(np.frombuffer(lengths, "<i4").astype(np.int64) * 4)
    begins = np.concatenate([[0], ends])[ranks].tolist()
    bounds = zip(begins, ends[ranks].tolist(), strict=True)
    return _objects([content[begin:end] for begin, end in bounds])


def check_unchanged(corpora: Sequence[Corpus], stamps: Sequence) -> None:
    """Raises a `UserError` when a file is not what it was when its `stamps` were taken."""
    paths = [path for corpus in corpora for path in open_corpus(corpus).paths]
    for path, then in zip(paths, stamps, strict=True):
        if file_stamp(path) != tuple(then):
            raise UserError(f"{path}: expected the file that was counted, came a changed one")


def concat_rows(first: dict, second: dict) -> dict:
    """The rows of one dict of arrays, then those of another."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def select_rows(rows: dict, places) -> dict:
    """The rows at some places of a dict of arrays."""
    return {name: values[places] for name, values in rows.items()}


def _unsorted(parts, order, names):
    rows = {}
    for column, name in enumerate(names):
        values = [part[column] for part in parts]
        values = np.concatenate(values) if values else np.zeros(0, object)
        rows[name] = np.empty_like(values)
        rows[name][order] = values
    return rows


def _objects(values):
    made = np.empty(len(values), object)
    made[:] = values
    return made
