"""Sequences of real-valued features in place of tokens."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear
from keras_s2s.layers.saved_names import saved_as

__all__ = ["FIRST_FRAMES", "FeatureProjection", "VectorProjection", "last_frame"]

FIRST_FRAMES = ("zeros", "source")  # input of a decoder over features at its first step


def last_frame(features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Last real frame of each row: [B, S, F], [B, S] -> [B, F]; zeros for an empty row.

    Args:
        features: float tensor [B, S, F].
        mask: bool tensor [B, S].

    Returns:
        float tensor [B, F].

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.features import last_frame
    >>> features, mask = tf.constant([[[1.0], [2.0], [0.0]]]), tf.constant([[True, True, False]])
    >>> last_frame(features, mask).numpy().tolist()
    [[2.0]]
    """
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    is_last = tf.one_hot(lengths - 1, tf.shape(mask)[1], dtype=features.dtype)  # zeros for -1
    return tf.reduce_sum(tf.expand_dims(is_last, 2) * features, 1)


@saved_as("VectorProjection")
class FeatureProjection(keras.layers.Layer):
    """Projection of features in place of a token embedding: a frame x becomes W x + b.

    Always float32, as the token embeddings are.

    Args:
        features: numbers in a frame, F.
        units: width D.
        norm: whether each projected frame is normalized (Ba et al. 2016, arXiv:1607.06450), so
            that frames of an unusual scale need no preprocessing.
        first: of a target: the decoder's input at its first step, `"zeros"`, or `"source"`, the
            last real frame of the source.

    Call arguments:
        inputs: float tensor [B, N, F].

    Output:
        float32 tensor [B, N, D].

    Raises:
        ValueError: for sizes that are not positive integers, or another `first`.

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.layers.features import FeatureProjection
    >>> FeatureProjection(features=3, units=8)(tf.ones([2, 5, 3])).shape
    TensorShape([2, 5, 8])
    """

    input_key = "features"  # key of the source dict that the layer reads

    def __init__(
        self,
        features: int,
        units: int,
        norm: bool = False,
        first: str = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(features=features, units=units)
        if first not in FIRST_FRAMES:
            raise ValueError(f"first: expected one of {', '.join(FIRST_FRAMES)}, got {first!r}")
        self.features, self.units, self.norm, self.first = features, units, norm, first
        self.projection = Linear(units, dtype="float32")
        self.normalizer = keras.layers.LayerNormalization(dtype="float32") if norm else None

    @property
    def size(self) -> int:
        """Numbers in a frame, F."""
        return self.features

    def build(self, inputs_shape: Any = None) -> None:
        self.projection.build((None, None, self.features))
        if self.norm:
            self.normalizer.build((None, None, self.units))

    def embed(self, values: tf.Tensor, context: dict[str, Any] | None = None) -> tf.Tensor:
        """Projects target frames: [B, N, F] -> float32 [B, N, D]. `context` is not used."""
        return self(values)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        projected = self.projection(inputs)  # [B, N, D]
        return self.normalizer(projected) if self.norm else projected

    def get_config(self) -> dict[str, Any]:
        names = ("features", "units", "norm", "first")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


VectorProjection = FeatureProjection  # previous name
