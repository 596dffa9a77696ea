"""A recurrent cell with Gaussian noise on its hidden state."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.encoders.base import check_flags
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = ["NoisyCell"]


@keras.saving.register_keras_serializable("keras_s2s")
class NoisyCell(keras.layers.Layer):
    """One hidden state: h = g(W x + b) + noise, or g(W x + R h' + b) + noise.

    Args:
        units: width U of the state.
        activation: Keras name of g.
        noise: standard deviation of the noise, drawn from N(0, I) in training only.
        recurrent: whether the previous state h' enters the new one.

    Call arguments:
        projected: float tensor [..., U], from `project`.
        states: {"h": float tensor [..., U]}; used when `recurrent`.
        training: whether noise is added.

    Returns:
        output [..., U] and the new states.

    Raises:
        ValueError: for a width that is not a positive integer, a negative noise, or a `recurrent`
            that is not a boolean.

    Reference: an introduction to Seq2Seq models with attention; with `recurrent`: Elman 1990.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.encoders.noisy_cell import NoisyCell
    >>> cell = NoisyCell(4)
    >>> cell.build((None, 3))
    >>> cell(cell.project(tf.ones([2, 3])))[0].shape
    TensorShape([2, 4])
    """

    gates, state_names = 1, ("h",)

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        noise: float = 0.1,
        recurrent: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(units=units)
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not noise >= 0:
            raise ValueError(f"noise: expected a number of at least 0, got {noise!r}")
        check_flags(recurrent=recurrent)
        self.units, self.activation, self.noise = units, activation, noise
        self.recurrent = recurrent
        self.function = keras.activations.get(activation)
        self.seed_generator = keras.random.SeedGenerator()
        self.input_projection = Linear(units, dtype=self.dtype_policy)
        self.recurrent_projection = None
        if recurrent:
            self.recurrent_projection = Linear(
                units, use_bias=False, kernel_initializer="orthogonal", dtype=self.dtype_policy
            )

    def build(self, inputs_shape: Sequence[int | None], states_shape: Any = None) -> None:
        for layer, width in (
            (self.input_projection, inputs_shape[-1]),
            (self.recurrent_projection, self.units),
        ):
            if layer is not None and not layer.built:
                layer.build((None, width))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """W x + b: [..., D] -> [..., U]."""
        return self.input_projection(inputs)

    def call(
        self,
        projected: tf.Tensor,
        states: dict[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        if self.recurrent:
            projected = projected + self.recurrent_projection(states["h"])
        hidden = self.function(projected)
        if training and self.noise:
            noise = keras.random.normal(tf.shape(hidden), dtype="float32", seed=self.seed_generator)
            hidden = hidden + tf.cast(self.noise * noise, hidden.dtype)
        return hidden, {"h": hidden}

    def get_config(self) -> dict[str, Any]:
        names = ("units", "activation", "noise", "recurrent")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
