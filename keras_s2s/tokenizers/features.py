"""Real-valued sequences instead of text: bytes of float32 numbers to frames of features."""

import json
from pathlib import Path

import tensorflow as tf

from keras_s2s.io import write_atomically

__all__ = ["Features"]

_BYTES_PER_NUMBER = 4


class Features(tf.Module):
    """The counterpart of a tokenizer for a side of real-valued sequences.

    The "text" of a row is the bytes of its frames, consecutive little-endian float32 numbers, and
    its "tokens" are the frames. There are neither ids nor an end token.

    Args:
        size: Numbers in a frame, F.

    Attributes:
        vocabulary: Empty.

    Raises:
        ValueError: `size` is not positive.

    Example:

    >>> import numpy as np
    >>> from keras_s2s.tokenizers import Features
    >>> text = np.array([[1, 2], [3, 4]], "<f4").tobytes()
    >>> Features(2).tokenize([text]).to_list()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """

    kind = "frames"  # the name in the files of saved tokenizers
    vocabulary: tuple[str, ...] = ()

    def __init__(self, size: int):
        super().__init__()
        if size < 1:
            raise ValueError(f"size: expected a positive number of numbers in a frame, got {size}")
        self.size = int(size)

    @property
    def input_size(self) -> int:
        """The size F of the model's input on this side."""
        return self.size

    def surface_forms(self, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the frames themselves."""
        return tokens

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        """Converts strings of bytes [B] to frames, float32 ragged [B, None, F]."""
        frame_bytes = _BYTES_PER_NUMBER * self.size
        sizes = tf.strings.length(text)
        longest = tf.reduce_max(tf.concat([sizes, [frame_bytes]], 0))
        flat = tf.io.decode_raw(text, tf.float32, fixed_length=longest)  # [B, S * F]
        shape = [tf.shape(text)[0], longest // frame_bytes, self.size]
        features = tf.reshape(flat, shape)  # [B, S, F]
        return tf.RaggedTensor.from_tensor(features, lengths=sizes // frame_bytes)

    def pieces(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        """The earlier name of `tokenize`."""
        return self.tokenize(text, sample)

    def save(self, directory: Path | str, name: str) -> None:
        """Writes NAME.json into `directory`, for `tokenizers.load`."""
        description = json.dumps({"kind": self.kind, "size": self.size}, indent=2) + "\n"
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_atomically(Path(directory) / f"{name}.json", description)
