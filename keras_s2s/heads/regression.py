"""The head of real-valued targets."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = ["LOSSES", "RegressionHead"]

LOSSES = ("l1", "l2", "gaussian")


@keras.saving.register_keras_serializable("keras_s2s")
class RegressionHead(keras.layers.Layer):
    """One dense layer onto the next frame: y = W o + b, with log-variances for a Gaussian.

    The loss of a position is the mean over the F features of its frame, with d = target - mean:
    `"l1"`: |d|; `"l2"`: d^2; `"gaussian"`: (log(2 pi) + v + d^2 exp(-v)) / 2, the negative
    log-likelihood in nats, v the log-variance clipped to +-`clip`.

    Args:
        features: number of features of a frame, F.
        loss: one of `LOSSES`.
        clip: bound of the log-variance, which diverges where a target is met exactly.

    Attributes:
        supports_copy, needs_attention, is_pointer, supports_target_log_probs,
            supports_label_smoothing, supports_tying, has_vocabulary_weights, tied: False, for the
            interface of `Head`.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: ignored.

    Returns:
        float32 tensor [B, N, F], or [B, N, 2 F]: means, then log-variances.

    Raises:
        ValueError: for another `loss`, a `features` that is not a positive integer, a `clip` that
            is not positive.

    Reference of the Gaussian: Nix and Weigend 1994, "Estimating the mean and variance of the
    target probability distribution".

    Example:

    >>> import tensorflow as tf
    >>> from keras_s2s.heads import RegressionHead
    >>> RegressionHead(2, loss="gaussian")(tf.ones([2, 3, 4])).shape
    TensorShape([2, 3, 4])
    """

    supports_copy = needs_attention = supports_tying = is_pointer = False
    supports_label_smoothing = supports_target_log_probs = has_vocabulary_weights = False
    tied = False

    def __init__(self, features: int, loss: str = "l2", clip: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        check_positive_integers(features=features)
        if loss not in LOSSES:
            raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
        if not clip > 0:
            raise ValueError(f"clip: expected a positive number, got {clip!r}")
        self.features, self.loss, self.clip = features, loss, clip
        width = 2 * features if loss == "gaussian" else features
        self.projection = Linear(width, dtype="float32")

    @property
    def size(self) -> int:
        """Number of features of a frame, F."""
        return self.features

    def check(self, context: dict[str, Any]) -> None:
        """Accepts every context."""

    def tie(self, embedding: Any) -> None:
        """Raises an error: there is no vocabulary.

        Raises:
            ValueError: always.
        """
        raise ValueError("tie: expected 'none' under a regression head, which has no vocabulary")

    def build(self, outputs_shape: tuple[int | None, ...], *args: Any, **kwargs: Any) -> None:
        self.projection.build((None, outputs_shape[-1]))

    def call(
        self,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None = None,
        attention: tf.Tensor | None = None,
        context: dict[str, Any] | None = None,
    ) -> tf.Tensor:
        predictions = self.projection(tf.cast(outputs, tf.float32))  # [B, N, F']
        if self.loss != "gaussian":
            return predictions
        means, log_variances = tf.split(predictions, 2, 2)
        return tf.concat([means, tf.clip_by_value(log_variances, -self.clip, self.clip)], 2)

    def log_probs(self, outputs: tf.Tensor) -> tf.Tensor:
        """The result of `Seq2Seq.next` for outputs [B, N, F']: the outputs themselves."""
        return outputs

    def objective(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """The loss as an objective, see `keras_s2s.losses`.

        Returns:
            function `(x, y [B, T, F], outputs [B, T, F'], weights [B, T]) -> (sum, count)`.
        """

        def objective(x, y, outputs, weights):
            losses = self.frame_losses(y, outputs)  # [B, T]
            weights = tf.cast(weights, tf.float32)
            # A position without weight may hold anything, and 0 * inf is not a number.
            losses = tf.where(weights > 0, losses, 0.0)
            return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)

        return objective

    def frame_losses(self, y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss of each frame: [B, T, F], [B, T, F'] -> float32 [B, T]."""
        outputs = tf.cast(outputs, tf.float32)
        difference = tf.cast(y, tf.float32) - outputs[..., : self.features]
        if self.loss == "l1":
            return tf.reduce_mean(tf.abs(difference), -1)
        if self.loss == "l2":
            return tf.reduce_mean(tf.square(difference), -1)
        log_variances = outputs[..., self.features :]
        nats = math.log(2 * math.pi) + log_variances
        nats += tf.square(difference) * tf.exp(-log_variances)
        return tf.reduce_mean(nats, -1) / 2

    def get_config(self) -> dict[str, Any]:
        config = {"features": self.features, "loss": self.loss, "clip": self.clip}
        return {**super().get_config(), **config}
