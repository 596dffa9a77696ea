"""Training criterion: the weighted objectives of a model and the passes they need."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from keras_s2s import losses
from keras_s2s.config import Objectives
from keras_s2s.losses.token_weights import token_weights

__all__ = ["Criterion"]


class Criterion:
    """Weighted sum of a model's training objectives, see `config.Objectives`.

    Args:
        settings: weight of each objective.
        model: a built `Seq2Seq`, compiled before its first update.

    Attributes:
        terms: list of (weight, objective) of the objectives in use.

    Raises:
        ValueError: for an objective over attention with a decoder that has none, or a setting that
            `keras_s2s.losses` does not accept.

    Example:

    >>> from keras_s2s.config import ModelConfig, Objectives
    >>> from keras_s2s.losses.criterion import Criterion
    >>> from keras_s2s.models import build
    >>> model = build(ModelConfig(preset="gru"), 8, 8)
    >>> [weight for weight, _ in Criterion(Objectives(coverage=0.5), model).terms]
    [1.0, 0.5]
    """

    def __init__(self, settings: Objectives, model: Any):
        if settings.uses_attention and not model.decoder.attention_names:
            name = "guided_alignment" if settings.guided_alignment else "coverage"
            raise ValueError(f"{name}: expected a decoder with attention, got one without")
        self.settings, self._model = settings, model
        self.terms: list[tuple[float, Callable]] = list(self._terms())
        if settings.scheduled_sampling:
            self._teacher_forcing_probability(0)

    def outputs(
        self, x: dict[str, Any], y: tf.Tensor, sample_weight: tf.Tensor | None
    ) -> dict[str, Any]:
        """Model outputs of a batch that the objectives read.

        With scheduled sampling they are those of a second pass, whose decoder reads predictions of
        the first.

        Args:
            x: inputs of the model.
            y: int tensor [B, T], the target tokens.
            sample_weight: tensor [B, T] or [B], or None.

        Returns:
            dict of `"logits"` [B, T, V'] and the other inputs of the objectives.
        """
        settings = self.settings
        if settings.scheduled_sampling:
            x = {**x, "target": self._mixed_target(x)}
        outputs = self._pass(x, "alignment" if settings.uses_attention else "none")
        if settings.r_drop:
            outputs["again"] = self._pass(x)["logits"]
        if settings.max_margin:
            weights = token_weights(y, sample_weight)
            target, corrupted, left = losses.omit_words(x["target"], y, weights)
            logits = self._pass({**x, "target": target})["logits"]
            outputs["corrupted"] = {"logits": logits, "y": corrupted, "weights": left}
        return outputs

    def _pass(self, x, maps="none"):
        outputs = self._model(x, maps=maps, training=True)
        return outputs if isinstance(outputs, dict) else {"logits": outputs}

    def _mixed_target(self, x):
        logits = self._pass(x)["logits"]
        probability = self._teacher_forcing_probability(self._model.optimizer.iterations)
        return losses.mix_targets(x["target"], logits, probability)

    def _teacher_forcing_probability(self, step):
        settings = self.settings
        return losses.teacher_forcing_probability(
            settings.scheduled_sampling, step, settings.sampling_k, settings.sampling_probability
        )

    def _terms(self) -> Iterator[tuple[float, Callable]]:
        settings, model = self.settings, self._model
        smoothing = model.smoothing, model.vocabulary_size
        if settings.r_drop:
            yield settings.cross_entropy, losses.r_drop(settings.r_drop, *smoothing)
        elif settings.cross_entropy:
            entropy = losses.cross_entropy(*smoothing)
            yield (
                settings.cross_entropy,
                lambda x, y, outputs, w: entropy(x, y, outputs["logits"], w),
            )
        if settings.guided_alignment:
            kind = settings.guided_alignment_kind
            yield settings.guided_alignment, losses.guided_alignment(kind)
        if settings.coverage:
            yield settings.coverage, losses.coverage()
        if settings.l2:
            yield settings.l2, losses.l2(lambda: model.trainable_variables)
        if settings.max_margin:
            yield settings.max_margin, losses.max_margin(settings.max_margin_eta)
