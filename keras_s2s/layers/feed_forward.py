"""Feed-forward block of a Transformer layer."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.dense import Linear
from keras_s2s.layers.dropout import Dropout

__all__ = ["FeedForward"]


@keras.saving.register_keras_serializable("keras_s2s")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation in between: W_2 f(W_1 x + b_1) + b_2.

    Args:
        units: width D of input and output.
        hidden_units: width of the inner layer.
        activation: Keras name of f.
        dropout: fraction dropped after the activation in training.

    Call arguments:
        inputs: float tensor [..., D].

    Output:
        float tensor [..., D].

    Reference: Vaswani et al. 2017, arXiv:1706.03762, equation 2.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.feed_forward import FeedForward
    >>> FeedForward(units=8, hidden_units=32)(tf.ones([2, 5, 8])).shape
    TensorShape([2, 5, 8])
    """

    def __init__(
        self,
        units: int,
        hidden_units: int,
        activation: str = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.hidden_units = units, hidden_units
        self.activation, self.dropout = activation, dropout
        self.inner = Linear(hidden_units, activation=activation, dtype=self.dtype_policy)
        self.outer = Linear(units, dtype=self.dtype_policy)
        self.inner_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        for layer, width in ((self.inner, self.units), (self.outer, self.hidden_units)):
            if not layer.built:
                layer.build((None, width))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.outer(self.inner_dropout(self.inner(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        names = ("units", "hidden_units", "activation", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
