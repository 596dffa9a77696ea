"""Embeddings and token labels for the projector of TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_s2s.io import write_atomically
from keras_s2s.tensorboard.labels import printable_label

__all__ = ["EmbeddingProjector", "write_projector"]

MAX_POINTS = 10_000  # the projector draws no more
LABEL = 100  # characters


def write_projector(directory: Path | str, tables: Mapping[str, Any]) -> Path:
    """Writes projector_config.pbtxt and the vectors and labels of every table.

    Args:
        directory: log directory of a run, with event files in it.
        tables: dict of names to (tokens, vectors `[V, D]`). The first 10,000 rows are written,
            which are the most frequent tokens of a vocabulary.

    Returns:
        The path of projector_config.pbtxt, which is written last.

    Raises:
        ValueError: if the numbers of tokens and vectors differ.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    directory, config = Path(directory), ProjectorConfig()
    directory.mkdir(parents=True, exist_ok=True)
    for name, (tokens, vectors) in tables.items():
        vectors = np.asarray(vectors, "<f4")
        if len(tokens) != len(vectors):
            raise ValueError(f"tables: {name}: expected {len(vectors)} tokens, got {len(tokens)}")
        labels = [printable_label(token, LABEL) or '""' for token in tokens[:MAX_POINTS]]
        content, suffix = _encode(vectors[:MAX_POINTS])
        info = config.embeddings.add(
            tensor_name=name, tensor_path=f"{name}.{suffix}", metadata_path=f"{name}.labels.tsv"
        )
        info.tensor_shape.extend(vectors[:MAX_POINTS].shape)
        write_atomically(directory / info.tensor_path, content)
        write_atomically(directory / info.metadata_path, "".join(f"{label}\n" for label in labels))
    path = directory / "projector_config.pbtxt"
    write_atomically(path, text_format.MessageToString(config, as_utf8=True))
    return path


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes the embeddings of a model for TensorBoard's projector.

    The callback of Keras writes a configuration without labels for a tensor that its checkpoint
    does not contain, so the projector stays empty.

    Args:
        directory: as for `write_projector`.
        tables: function without arguments that returns the tables of `write_projector`.
        every: number of epochs between two writes, which replace each other.
    """

    def __init__(self, directory: Path | str, tables: Mapping[str, Any], *, every: int = 1):
        super().__init__()
        self.directory, self.tables, self.every = directory, tables, every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            write_projector(self.directory, self.tables())


def _encode(vectors):
    """Returns the content and the suffix of a file: raw numbers, or text where necessary.

    Raw numbers take a fifth of the size and time of text, but TensorBoard reads a file as text if
    its first line is valid UTF-8.
    """
    content = vectors.tobytes()
    try:
        content.split(b"\n", 1)[0].decode()
    except UnicodeDecodeError:
        return content, "bytes"
    return "".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in vectors.tolist()), "tsv"
