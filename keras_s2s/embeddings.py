"""Tokens and positions as vectors."""

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.linear import check_sizes

__all__ = ["POSITIONS", "TokenEmbedding", "place", "sinusoidal"]

POSITIONS = ("sinusoidal", "vaswani")  # how the wave lengths run, see `sinusoidal`


def sinusoidal(positions, units, kind="sinusoidal"):
    """Sinusoidal position signal: sines in the first half of the width, cosines in the second.

    The wave lengths run geometrically from 2 pi to 10,000 * 2 pi, which the longest reaches, or in
    "vaswani" would with one more, as the paper's formula has it and Marian's models. Computed in
    float32: bfloat16 counts exactly only to 256.

    Args:
        positions: int tensor [N].
        units: width D, even.
        kind: one of `POSITIONS`.

    Returns:
        float32 tensor [N, D].

    Raises:
        ValueError: when `units` is odd.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (there interleaved).
    """
    if units % 2:
        raise ValueError(f"units: expected an even width for sinusoidal positions, came {units}")
    half = units // 2
    steps = max(half - 1, 1) if kind == "sinusoidal" else half
    rates = np.power(10000.0, -np.arange(half) / steps).astype("float32")
    angles = tf.expand_dims(tf.cast(positions, tf.float32), 1) * rates  # [N, D / 2]
    return tf.concat([tf.sin(angles), tf.cos(angles)], 1)


def place(inputs, positions, kind="sinusoidal", scaled=True):
    """Vectors with their positions in them, as a Transformer's first layer takes them.

    Args:
        inputs: float tensor [..., N, D].
        positions: int tensor [N].
        kind: one of `POSITIONS`.
        scaled: whether the vectors are multiplied by the square root of D.

    Returns:
        float tensor [..., N, D].
    """
    units = inputs.shape[-1]
    signal = tf.cast(sinusoidal(positions, units, kind), inputs.dtype)  # [N, D]
    return (inputs * units**0.5 if scaled else inputs) + signal


@keras.saving.register_keras_serializable("keras_s2s")
class TokenEmbedding(keras.layers.Layer):
    """A vector for every token of a vocabulary; a head can use the same table for its weights.

    Always float32: the table is the output layer's weight too when tied, and the layers that take
    the vectors cast them to their own precision.

    Args:
        vocabulary_size: number of tokens V. An id outside of 0 to V - 1 (a copied token) reads as
            unknown.
        units: width D.
        unknown: id of the unknown token.

    Call arguments:
        inputs: int tensor of ids, any shape [...].

    Output:
        float32 tensor [..., D].

    Raises:
        ValueError: for sizes that are not positive integers, or an `unknown` outside of 0 to V - 1.

    Reference for the tied use: Press and Wolf 2017, arXiv:1608.05859.
    """

    reads = "ids"  # the key of a source dict

    def __init__(self, vocabulary_size, units, unknown=SpecialIds().unknown, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_sizes(vocabulary_size=vocabulary_size, units=units)
        if not 0 <= unknown < vocabulary_size:
            raise ValueError(
                f"unknown: expected an id of 0 to {vocabulary_size - 1}, came {unknown}"
            )
        self.vocabulary_size, self.units, self.unknown = vocabulary_size, units, unknown

    @property
    def size(self):
        """Number of tokens V."""
        return self.vocabulary_size

    def build(self, inputs_shape=None):
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size, self.units),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )

    def embed(self, ids, context=None):
        """Vectors of target ids: [B, N] -> float32 [B, N, D]. `context` is for other targets."""
        return self(ids)

    def call(self, inputs):
        known = tf.logical_and(inputs >= 0, inputs < self.vocabulary_size)
        return tf.gather(tf.convert_to_tensor(self.table), tf.where(known, inputs, self.unknown))

    def get_config(self):
        own = ("vocabulary_size", "units", "unknown")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
