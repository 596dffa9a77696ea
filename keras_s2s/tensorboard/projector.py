"""TensorBoard's embedding projector: files of vectors with the tokens that they stand for."""

from pathlib import Path

import keras
import numpy as np

from keras_s2s.io import write_atomically
from keras_s2s.tensorboard.labels import printable_label

__all__ = ["EmbeddingProjector", "write_projector"]

MOST = 10_000  # the projector draws no more points
LABEL = 100  # signs


def write_projector(directory, tables) -> Path:
    """Writes projector_config.pbtxt and, for every table, its vectors and labels.

    Args:
        directory: of a run of TensorBoard, one with event files in it.
        tables: {name: (tokens, vectors `[V, D]`)}; the first 10,000 are taken, in a vocabulary the
            most frequent.

    Returns:
        The path of projector_config.pbtxt, which is written last.

    Raises:
        ValueError: unequal numbers of tokens and vectors.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    directory, config = Path(directory), ProjectorConfig()
    directory.mkdir(parents=True, exist_ok=True)
    for name, (tokens, vectors) in tables.items():
        vectors = np.asarray(vectors, "<f4")
        if len(tokens) != len(vectors):
            raise ValueError(f"tables: {name}: expected {len(vectors)} tokens, came {len(tokens)}")
        labels = [printable_label(token, LABEL) or '""' for token in tokens[:MOST]]
        content, kind = _encoded(vectors[:MOST])
        info = config.embeddings.add(
            tensor_name=name, tensor_path=f"{name}.{kind}", metadata_path=f"{name}.labels.tsv"
        )
        info.tensor_shape.extend(vectors[:MOST].shape)
        write_atomically(directory / info.tensor_path, content)
        write_atomically(directory / info.metadata_path, "".join(f"{label}\n" for label in labels))
    path = directory / "projector_config.pbtxt"
    write_atomically(path, text_format.MessageToString(config, as_utf8=True))
    return path


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes the embeddings of a model for TensorBoard's projector.

    Keras' own callback writes a configuration that names no labels and a checkpoint that has no
    such tensor, and the projector stays empty.

    Args:
        directory: as `write_projector` takes it.
        tables: `tables()` gives what it takes.
        every: epochs between two writings, which replace one another.
    """

    def __init__(self, directory, tables, *, every=1):
        super().__init__()
        self.directory, self.tables, self.every = directory, tables, every

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            write_projector(self.directory, self.tables())


def _encoded(vectors):
    """Content and kind of a file: raw numbers, a fifth of the size and of the time of text.

    TensorBoard takes for text what begins like a line of it.
    """
    content = vectors.tobytes()
    try:
        content.split(b"\n", 1)[0].decode()
    except UnicodeDecodeError:
        return content, "bytes"
    return "".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in vectors.tolist()), "tsv"
