"""Access to the file `saved_model.pb` of a SavedModel."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

__all__ = ["edit_graph", "read_graph"]

FILE = "saved_model.pb"


def read_graph(path: Path | str) -> meta_graph_pb2.MetaGraphDef:
    """Reads the only MetaGraphDef of the SavedModel in the directory `path`."""
    return _read(path).meta_graphs[0]


@contextlib.contextmanager
def edit_graph(path: Path | str) -> Iterator[meta_graph_pb2.MetaGraphDef]:
    """Yields the only MetaGraphDef of a SavedModel and writes it back at the end of the block."""
    model = _read(path)
    yield model.meta_graphs[0]
    (Path(path) / FILE).write_bytes(model.SerializeToString(deterministic=True))


def _read(path):
    return saved_model_pb2.SavedModel.FromString((Path(path) / FILE).read_bytes())
