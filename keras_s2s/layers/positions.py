"""Absolute positions: sinusoids and learned vectors added to a sequence's inputs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers

__all__ = ["SINUSOIDAL_KINDS", "LearnedPositions", "add_positions", "sinusoidal_positions"]

SINUSOIDAL_KINDS = ("sinusoidal", "vaswani")  # spacing of the wavelengths


def sinusoidal_positions(positions: tf.Tensor, units: int, kind: str = "sinusoidal") -> tf.Tensor:
    """Sinusoidal position signal: sines in the first half of the width, cosines in the second.

    The wavelengths form a geometric progression from 2 pi to 10,000 * 2 pi. With "sinusoidal" the
    longest wavelength reaches the upper end; with "vaswani" it is one step short of it, as in the
    paper's formula and Marian's models. Computed in float32: bfloat16 represents integers exactly
    only up to 256.

    Args:
        positions: int tensor [N].
        units: width D, even.
        kind: one of `SINUSOIDAL_KINDS`.

    Returns:
        float32 tensor [N, D].

    Raises:
        ValueError: when `units` is odd.

    Reference: Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (there interleaved).

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.positions import sinusoidal_positions
    >>> sinusoidal_positions(tf.range(1), 4).numpy().tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    if units % 2:
        raise ValueError(f"units: expected an even width for sinusoidal positions, got {units}")
    half = units // 2
    intervals = max(half - 1, 1) if kind == "sinusoidal" else half
    frequencies = np.power(10000.0, -np.arange(half) / intervals).astype("float32")
    angles = tf.expand_dims(tf.cast(positions, tf.float32), 1) * frequencies  # [N, D / 2]
    return tf.concat([tf.sin(angles), tf.cos(angles)], 1)


def add_positions(
    inputs: tf.Tensor,
    positions: tf.Tensor,
    kind: str = "sinusoidal",
    scaled: bool = True,
    table: "LearnedPositions | None" = None,
) -> tf.Tensor:
    """Adds positions to the inputs of a stack's first layer.

    Args:
        inputs: float tensor [..., N, D].
        positions: int tensor [N].
        kind: one of `SINUSOIDAL_KINDS`; any other kind adds no sinusoids.
        scaled: whether the inputs are multiplied by the square root of D.
        table: `LearnedPositions` to add instead.

    Returns:
        float tensor [..., N, D].
    """
    units = inputs.shape[-1]
    inputs = inputs * units**0.5 if scaled else inputs
    if table is not None:
        return inputs + tf.cast(table(positions), inputs.dtype)
    if kind not in SINUSOIDAL_KINDS:
        return inputs
    return inputs + tf.cast(sinusoidal_positions(positions, units, kind), inputs.dtype)


@keras.saving.register_keras_serializable("keras_s2s")
class LearnedPositions(keras.layers.Layer):
    """Learned vector for every position, always float32.

    Args:
        units: width D.
        max_length: number of positions; positions beyond it use the last vector.

    Call arguments:
        positions: int tensor [N].

    Output:
        float32 tensor [N, D].

    Raises:
        ValueError: for sizes that are not positive integers.

    Reference: Gehring et al. 2017, arXiv:1705.03122, section 3.1.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.positions import LearnedPositions
    >>> LearnedPositions(4, max_length=10)(tf.range(3)).shape
    TensorShape([3, 4])
    """

    def __init__(self, units: int, max_length: int = 1024, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(units=units, max_length=max_length)
        self.units, self.max_length = units, max_length

    def build(self, positions_shape: Any = None) -> None:
        self.table = self.add_weight(
            name="table",
            shape=(self.max_length, self.units),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )

    def call(self, positions: tf.Tensor) -> tf.Tensor:
        last = self.max_length - 1
        return tf.gather(tf.convert_to_tensor(self.table), tf.minimum(positions, last))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "max_length": self.max_length}
