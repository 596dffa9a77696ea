"""The text of any pairs of a corpus, found by their numbers."""

from collections.abc import Sequence

import numpy as np

from keras_s2s.config import Corpus, UserError
from keras_s2s.data.files import stamp
from keras_s2s.data.orders import Index
from keras_s2s.data.readers import open_rows

__all__ = ["Texts", "check_unchanged", "join", "take"]


class Texts:
    """Corpora whose pairs can be loaded by id, each block of them read once a call.

    A corpus of plain files is read where the pairs lie; a `.gz` from where it was left, or from
    its start when that is behind.

    Args:
        corpora: the files.
        indexes: of each corpus.
    """

    names = ("source", "target", "weight")

    def __init__(self, corpora: Sequence[Corpus], indexes: Sequence[Index]):
        self._rows = [open_rows(corpus) for corpus in corpora]
        self._indexes = indexes

    def load(self, ids) -> dict:
        """Int64 ids [N] -> their texts, arrays [N] by the names of `names`."""
        order = np.argsort(ids, kind="stable")
        parts, first = [], 0
        for rows, index in zip(self._rows, self._indexes, strict=True):
            low, high = np.searchsorted(ids[order], (first, first + len(index.buckets)))
            parts += self._parts(rows, index, ids[order[low:high]] - first)
            first += len(index.buckets)
        return _unsorted(parts, order, self.names)

    def close(self) -> None:
        """Lets go of the files."""
        for rows in self._rows:
            rows.close()

    def _parts(self, rows, index, places):
        """The texts at rising `places` of one corpus, block by block."""
        blocks = places // index.block
        for mine in np.split(places, np.flatnonzero(np.diff(blocks)) + 1) if len(places) else ():
            block = int(mine[0]) // index.block
            rows.seek(index.places[block], block * index.block)
            found = rows.take(index.block)
            inside = (mine - block * index.block).tolist()
            yield {
                "source": _objects([found.sources[place] for place in inside]),
                "target": _objects([found.targets[place] for place in inside]),
                "weight": found.weights[inside],
            }


def check_unchanged(corpora: Sequence[Corpus], stamps: Sequence) -> None:
    """Raises a `UserError` when a file is not what it was when its `stamps` were taken."""
    paths = [path for corpus in corpora for path in open_rows(corpus).paths]
    for path, then in zip(paths, stamps, strict=True):
        if stamp(path) != tuple(then):
            raise UserError(f"{path}: expected the file that was counted, came a changed one")


def join(first: dict, second: dict) -> dict:
    """The rows of one dict of arrays, then those of another."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def take(rows: dict, places) -> dict:
    """The rows at some places of a dict of arrays."""
    return {name: values[places] for name, values in rows.items()}


def _unsorted(parts, order, names):
    rows = {}
    for name in names:
        values = [part[name] for part in parts]
        values = np.concatenate(values) if values else np.zeros(0, object)
        rows[name] = np.empty_like(values)
        rows[name][order] = values
    return rows


def _objects(values):
    made = np.empty(len(values), object)
    made[:] = values
    return made
