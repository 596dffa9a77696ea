"""The head of real vectors: what the next frame is, and how sure the model is of it."""

import math

import keras
import tensorflow as tf

from keras_s2s.heads.base import refuse_tokens
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = ["LOSSES", "RegressionHead"]

LOSSES = ("l1", "l2", "gaussian")


@keras.saving.register_keras_serializable("keras_s2s")
class RegressionHead(keras.layers.Layer):
    """One dense layer onto the next frame: y = W o + b; a Gaussian has its log-variances behind.

    The loss of a position is the mean over the F numbers of its frame, with d = target - mean:
    `"l1"`: |d|; `"l2"`: d^2; `"gaussian"`: (log(2 pi) + v + d^2 exp(-v)) / 2, the negative
    log-likelihood in nats, v the log-variance clipped to +-`clip`.

    Args:
        features: numbers in a frame, F.
        loss: one of `LOSSES`.
        clip: bound of the log-variance, which else runs off where a target is met exactly.

    Attributes:
        copies, needs_attention, points, skips, smooths, ties, tied: False, as heads over a
            vocabulary have them.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: not read.

    Output:
        float32 tensor [B, N, F], or [B, N, 2 F]: means, then log-variances.

    Raises:
        ValueError: for another `loss`, a `features` that is no positive integer, a `clip` that is
            not positive.

    Reference of the Gaussian: Nix and Weigend 1994, "Estimating the mean and variance of the
    target probability distribution".
    """

    supports_copy = needs_attention = is_pointer = skips = smooths = ties = tied = False

    def __init__(self, features, loss="l2", clip=10.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        check_positive_integers(features=features)
        if loss not in LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, came {loss!r}")
        if not clip > 0:
            raise ValueError(f"clip: expected a positive number, came {clip!r}")
        self.features, self.loss, self.clip = features, loss, clip
        width = 2 * features if loss == "gaussian" else features
        self.projection = Linear(width, dtype="float32")

    def check(self, context):
        """Refuses no context."""

    @property
    def size(self):
        """Numbers in a frame, F."""
        return self.features

    def tie(self, embedding):
        """Refuses: a frame has no table of vectors.

        Raises:
            ValueError: always.
        """
        raise ValueError("tie: expected 'none' under a regression head, which has no vocabulary")

    def build(self, outputs_shape, *args, **kwargs):
        self.projection.build((None, outputs_shape[-1]))

    def call(self, outputs, inputs=None, attention=None, context=None):
        found = self.projection(tf.cast(outputs, tf.float32))  # [B, N, F]
        if self.loss != "gaussian":
            return found
        means, logs = tf.split(found, 2, 2)
        return tf.concat([means, tf.clip_by_value(logs, -self.clip, self.clip)], 2)

    def log_probs(self, outputs):
        """What `Seq2Seq.next` gives of the outputs [B, N, F']: the outputs themselves."""
        return outputs

    def prepare_search(self, multiple=1, tokens=None):
        """Nothing to lay out: an empty list."""
        refuse_tokens(self, tokens)
        return []

    def objective(self):
        """The loss as an objective, see `keras_s2s.losses`.

        Returns:
            function `(x, y [B, T, F], outputs [B, T, F'], weights [B, T]) -> (sum, count)`.
        """

        def objective(x, y, outputs, weights):
            losses = self.frame_losses(y, outputs)  # [B, T]
            weights = tf.cast(weights, tf.float32)
            # what has no weight may be anything, and 0 * inf is not a number
            losses = tf.where(weights > 0, losses, 0.0)
            return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

        return objective

    def frame_losses(self, y, outputs):
        """The loss of each frame: [B, T, F], [B, T, F'] -> float32 [B, T]."""
        outputs = tf.cast(outputs, tf.float32)
        away = tf.cast(y, tf.float32) - outputs[..., : self.features]
        if self.loss == "l1":
            return tf.reduce_mean(tf.abs(away), -1)
        if self.loss == "l2":
            return tf.reduce_mean(tf.square(away), -1)
        logs = outputs[..., self.features :]
        nats = math.log(2 * math.pi) + logs + tf.square(away) * tf.exp(-logs)
        return tf.reduce_mean(nats, -1) / 2

    def get_config(self):
        own = {"features": self.features, "loss": self.loss, "clip": self.clip}
        return {**super().get_config(), **own}
