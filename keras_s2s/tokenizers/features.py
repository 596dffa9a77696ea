"""Sequences of real vectors where a text would be: bytes of float32 -> frames."""

import json
from pathlib import Path

import tensorflow as tf

from keras_s2s.io import write_atomically

__all__ = ["Features"]

_BYTES = 4  # of a number


class Features(tf.Module):
    """What stands in a tokenizer's place where a side of the data is vectors.

    A row's "text" is the bytes of its frames, little-endian float32, one after the other, and its
    "pieces" are the frames. There are neither ids nor an end.

    Args:
        size: numbers in a frame, F.

    Attributes:
        vocabulary: empty.

    Raises:
        ValueError: when `size` is not positive.
    """

    kind = "frames"
    vocabulary = ()

    def __init__(self, size: int):
        super().__init__()
        if size < 1:
            raise ValueError(f"size: expected a positive number of numbers in a frame, came {size}")
        self.size = int(size)

    @property
    def input_size(self):
        """What `catalog.build` takes as the side's size: F."""
        return self.size

    def surface_forms(self, pieces):
        """The frames themselves."""
        return pieces

    def pieces(self, rows, sample=False):
        """Strings of bytes [B] -> float32 frames, ragged [B, None, F]."""
        width = _BYTES * self.size
        sizes = tf.strings.length(rows)
        longest = tf.reduce_max(tf.concat([sizes, [width]], 0))
        flat = tf.io.decode_raw(rows, tf.float32, fixed_length=longest)  # [B, S * F]
        frames = tf.reshape(flat, [tf.shape(rows)[0], longest // width, self.size])  # [B, S, F]
        return tf.RaggedTensor.from_tensor(frames, lengths=sizes // width)

    def save(self, directory, name: str) -> None:
        """Writes NAME.json into `directory`; `tokenizers.load` reads it."""
        described = json.dumps({"kind": self.kind, "size": self.size}, indent=2) + "\n"
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_atomically(Path(directory) / f"{name}.json", described)
