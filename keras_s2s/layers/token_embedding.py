"""Token embedding."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.layers.argument_checks import check_positive_integers

__all__ = ["TokenEmbedding"]


@keras.saving.register_keras_serializable("keras_s2s")
class TokenEmbedding(keras.layers.Layer):
    """Vector for every token of a vocabulary; a head can share the table as its weights.

    Always float32: with tied weights the table is the weight of the output layer too. The layers
    that read the vectors cast them to their own dtype.

    Args:
        vocabulary_size: number of tokens V. An id outside of 0 to V - 1 (a copied token) is
            embedded as the unknown token.
        units: width D.
        unknown: id of the unknown token.

    Call arguments:
        inputs: int tensor of ids, any shape [...].

    Output:
        float32 tensor [..., D].

    Raises:
        ValueError: for sizes that are not positive integers, or an `unknown` outside of 0 to V - 1.

    Reference for the tied use: Press and Wolf 2017, arXiv:1608.05859.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.token_embedding import TokenEmbedding
    >>> TokenEmbedding(vocabulary_size=10, units=4)(tf.constant([[4, 5, 3]])).shape
    TensorShape([1, 3, 4])
    """

    is_pointer = False  # whether ids are positions of the source
    input_key = "ids"  # key of the source dict that the layer reads

    def __init__(
        self,
        vocabulary_size: int,
        units: int,
        unknown: int = SpecialIds().unknown,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(vocabulary_size=vocabulary_size, units=units)
        if not 0 <= unknown < vocabulary_size:
            raise ValueError(
                f"unknown: expected an id of 0 to {vocabulary_size - 1}, got {unknown}"
            )
        self.vocabulary_size, self.units, self.unknown = vocabulary_size, units, unknown

    @property
    def size(self) -> int:
        """Number of tokens V."""
        return self.vocabulary_size

    def build(self, inputs_shape: Any = None) -> None:
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size, self.units),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
        )

    def embed(self, ids: tf.Tensor, context: dict[str, Any] | None = None) -> tf.Tensor:
        """Embeds target ids: [B, N] -> float32 [B, N, D]. `context` is not used."""
        return self(ids)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        is_known = tf.logical_and(inputs >= 0, inputs < self.vocabulary_size)
        ids = tf.where(is_known, inputs, self.unknown)
        return tf.gather(tf.convert_to_tensor(self.table), ids)

    def get_config(self) -> dict[str, Any]:
        names = ("vocabulary_size", "units", "unknown")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
