"""Sequences of real vectors: frames as layers read and feed them, and how well they are met."""

import keras
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = ["FIRST", "FeatureProjection", "last_frame"]

FIRST = ("zeros", "source")  # what a decoder of vectors reads before its first step


def last_frame(features, mask):
    """The last real frame of each row: [B, S, F], [B, S] -> [B, F]; zeros of an empty row.

    Args:
        features: float tensor [B, S, F].
        mask: bool tensor [B, S].

    Returns:
        float tensor [B, F].
    """
    count = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    place = tf.one_hot(count - 1, tf.shape(mask)[1], dtype=features.dtype)  # zeros for -1
    return tf.reduce_sum(tf.expand_dims(place, 2) * features, 1)


@keras.saving.register_keras_serializable("keras_s2s")
class FeatureProjection(keras.layers.Layer):
    """Real vectors in place of tokens: a frame x becomes W x + b, of the width that a part reads.

    Always float32, as the embeddings of tokens are.

    Args:
        features: numbers in a frame, F.
        units: width D.
        norm: whether each projected frame is normalised (Ba et al. 2016, arXiv:1607.06450), which
            spares frames of an odd scale a preparation of their own.
        first: of a target: what the decoder reads before its first step, `"zeros"`, or
            `"source"`, the source's last real frame.

    Call arguments:
        inputs: float tensor [B, N, F].

    Output:
        float32 tensor [B, N, D].

    Raises:
        ValueError: for sizes that are not positive integers, or another `first`.
    """

    reads = "features"  # the key of a source dict

    def __init__(self, features, units, norm=False, first="zeros", **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_positive_integers(features=features, units=units)
        if first not in FIRST:
            raise ValueError(f"first: expected one of {', '.join(FIRST)}, came {first!r}")
        self.features, self.units, self.norm, self.first = features, units, norm, first
        self.projection = Linear(units, dtype="float32")
        self.normalizer = keras.layers.LayerNormalization(dtype="float32") if norm else None

    @property
    def size(self):
        """Numbers in a frame, F."""
        return self.features

    def build(self, inputs_shape=None):
        self.projection.build((None, None, self.features))
        if self.norm:
            self.normalizer.build((None, None, self.units))

    def embed(self, values, context=None):
        """Vectors of target frames: [B, N, F] -> float32 [B, N, D]; `context` is not read."""
        return self(values)

    def call(self, inputs):
        projected = self.projection(inputs)  # [B, N, D]
        return self.normalizer(projected) if self.norm else projected

    def get_config(self):
        own = ("features", "units", "norm", "first")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
