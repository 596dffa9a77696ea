"""The loss and the metrics of a sequence-to-sequence model."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_s2s import losses
from keras_s2s.losses.criterion import Criterion
from keras_s2s.losses.token_weights import token_weights
from keras_s2s.models.training_step import TrainingStep

__all__ = ["TrainingLoss"]


class TrainingLoss(TrainingStep):
    """A Keras model over targets [B, T] whose loss is a sum of objectives, see `keras_s2s.losses`.

    Sub-classes define `head`, `label_smoothing`, `vocabulary_size` and `has_feature_targets`.
    """

    criterion = None

    @property
    def smoothing(self) -> float:
        """The effective `label_smoothing`: 0 for a head whose columns are no vocabulary."""
        return self.label_smoothing if self.head.supports_label_smoothing else 0.0

    def objectives(self) -> list[Callable[..., tuple[tf.Tensor, tf.Tensor]]]:
        """The objectives whose sum is the loss.

        In training `configure_objectives` replaces them.
        """
        if self.has_feature_targets:
            return [self.head.objective()]
        return [losses.cross_entropy(self.smoothing, self.vocabulary_size)]

    def configure_objectives(self, settings: Any) -> None:
        """Makes `fit`, but not a validation, minimise other objectives; call after `compile`.

        Updates then work as after `configure_updates`.

        Args:
            settings: `config.Objectives`.

        Raises:
            ValueError: an objective over the attention of a decoder without any; replicas.
        """
        criterion = None if settings.is_cross_entropy_only else Criterion(settings, self)
        if criterion is not None or self.criterion is not None:
            self.configure_updates(self.batches_per_update)
        self.criterion = criterion

    def compute_loss(
        self,
        x: Any = None,
        y: tf.Tensor | None = None,
        y_pred: tf.Tensor | dict[str, Any] | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        logits = y_pred.get("logits") if isinstance(y_pred, dict) else y_pred
        if self._compile_loss is not None:
            return super().compute_loss(x, y, logits, sample_weight, training)
        weights = token_weights(y, sample_weight)  # [B, T]
        loss, terms = 0.0, [(1.0, logits, objective) for objective in self.objectives()]
        if training and self.criterion is not None:
            terms = [(factor, y_pred, objective) for factor, objective in self.criterion.terms]
        elif logits is None:
            terms = [(1.0, y_pred, losses.likelihood())]
        for factor, outputs, objective in terms:
            value, count = objective(x, y, outputs, weights)
            value = value / tf.maximum(count, 1.0)
            loss += value if factor == 1.0 else factor * value
        # Keras adds up the gradients of the replicas, and does not divide a loss computed here.
        loss /= tf.distribute.get_strategy().num_replicas_in_sync
        additional = [self._aggregate_additional_loss(value) for value in self.losses]
        return loss + sum(additional)

    def compute_metrics(
        self,
        x: Any,
        y: tf.Tensor,
        y_pred: tf.Tensor | dict[str, Any],
        sample_weight: tf.Tensor | None = None,
    ) -> dict[str, Any]:
        logits = y_pred.get("logits") if isinstance(y_pred, dict) else y_pred
        if logits is None:  # two columns: the target, and all other tokens as one
            target = y_pred["target_log_probs"]
            other = tf.math.log1p(-tf.exp(tf.minimum(target, -1e-6)))
            y, logits = tf.zeros_like(y), tf.stack([target, other], -1)
        return super().compute_metrics(x, y, logits, sample_weight)

    def _training_outputs(self, x, y, sample_weight):
        if self.criterion is not None:
            return self.criterion.outputs(x, y, sample_weight)
        supports_target_log_probs = self.head.supports_target_log_probs
        if supports_target_log_probs and not self.smoothing and self._compile_loss is None:
            x = {**x, "labels": y}
        return super()._training_outputs(x, y, sample_weight)

    def _example_target(self):
        """A target of one position, [1, 1] or [1, 1, F], and outputs [1, 1, V'] for it."""
        outputs = tf.zeros([1, 1, self.vocabulary_size])
        return (outputs if self.has_feature_targets else tf.zeros([1, 1], tf.int32)), outputs
