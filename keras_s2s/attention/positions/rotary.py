"""Rotary positions."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.attention.positions.base import AttentionPosition

__all__ = ["RotaryPosition"]


@keras.saving.register_keras_serializable("keras_s2s")
class RotaryPosition(AttentionPosition):
    """Queries and keys rotated by angles that grow with the position: only distances matter.

    Plane i of d/2 consists of the elements i and i + d/2 and rotates by base^(-2i/d) per position.
    Computed in float32.

    Args:
        num_heads, size, causal: as for `AttentionPosition`, tensors [..., H, N, d]; d is even.
        base: wavelength of the slowest plane, divided by 2 pi.

    Raises:
        ValueError: for heads of an odd width, or a `base` that is not above 1.

    Reference: Su et al. 2021, arXiv:2104.09864, equation 34 (there planes are adjacent elements).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.attention import SelfAttention
    >>> from keras_s2s.attention.positions import RotaryPosition
    >>> layer = SelfAttention(8, 2, position=RotaryPosition(num_heads=2, size=4))
    >>> layer(tf.ones([3, 5, 8]))[0].shape
    TensorShape([3, 5, 8])
    """

    def __init__(
        self,
        num_heads: int,
        size: int,
        causal: bool = False,
        base: float = 10000.0,
        **kwargs: Any,
    ):
        super().__init__(num_heads, size, causal, **kwargs)
        if size % 2:
            raise ValueError(f"positions: rotary expected heads of an even width, got {size}")
        if isinstance(base, bool) or not isinstance(base, int | float) or base <= 1:
            raise ValueError(f"base: expected a number above 1, got {base!r}")
        self.base = base

    def rotate(self, vectors: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        half = self.size // 2
        frequencies = np.power(float(self.base), -np.arange(half) / half).astype("float32")
        angles = tf.expand_dims(tf.cast(positions, tf.float32), 1) * frequencies  # [N, d / 2]
        cosines, sines = tf.cos(angles), tf.sin(angles)
        first, second = tf.split(tf.cast(vectors, tf.float32), 2, -1)
        rotated = [first * cosines - second * sines, second * cosines + first * sines]
        return tf.cast(tf.concat(rotated, -1), vectors.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "base": self.base}
