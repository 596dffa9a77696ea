"""The file `saved_model.pb` of a SavedModel's directory."""

import contextlib
from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

__all__ = ["edit_graph", "read_graph"]

NAME = "saved_model.pb"


def read_graph(path):
    """The only MetaGraphDef of a SavedModel's directory."""
    return _read(path).meta_graphs[0]


@contextlib.contextmanager
def edit_graph(path):
    """The only MetaGraphDef of a SavedModel's directory, which is written anew afterwards."""
    model = _read(path)
    yield model.meta_graphs[0]
    (Path(path) / NAME).write_bytes(model.SerializeToString(deterministic=True))


def _read(path):
    return saved_model_pb2.SavedModel.FromString((Path(path) / NAME).read_bytes())
