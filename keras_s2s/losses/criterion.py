"""What training minimises beside the cross-entropy, and the passes of a model that it takes."""

from keras_s2s import losses
from keras_s2s.config import Objectives
from keras_s2s.losses.token_weights import token_weights

__all__ = ["Criterion"]


class Criterion:
    """The objectives of one model's training, see `config.Objectives`.

    Args:
        settings: the weight of each objective.
        model: a built `Seq2Seq`, compiled before its first update.

    Raises:
        ValueError: an objective over the attention of a decoder without any, or a setting that
            `keras_s2s.losses` does not take.
    """

    def __init__(self, settings: Objectives, model):
        if settings.uses_attention and not model.decoder.attention_names:
            name = "guided_alignment" if settings.guided_alignment else "coverage"
            raise ValueError(f"{name}: expected a decoder with attention, came one without")
        self.settings, self._model = settings, model
        self.terms = list(self._terms())
        if settings.scheduled_sampling:
            self._probability(0)

    def outputs(self, x, y, sample_weight) -> dict:
        """What the objectives read of a batch: `"logits"` [B, T, V'] and what else they need.

        With scheduled sampling these are of a second pass, whose decoder reads what the first one
        said.
        """
        settings = self.settings
        if settings.scheduled_sampling:
            x = {**x, "target": self._mixed(x)}
        made = self._pass(x, "alignment" if settings.uses_attention else "none")
        if settings.r_drop:
            made["again"] = self._pass(x)["logits"]
        if settings.max_margin:
            weights = token_weights(y, sample_weight)
            target, other, left = losses.omit_words(x["target"], y, weights)
            logits = self._pass({**x, "target": target})["logits"]
            made["corrupted"] = {"logits": logits, "y": other, "weights": left}
        return made

    def _pass(self, x, maps="none"):
        made = self._model(x, maps=maps, training=True)
        return made if isinstance(made, dict) else {"logits": made}

    def _mixed(self, x):
        logits = self._pass(x)["logits"]
        probability = self._probability(self._model.optimizer.iterations)
        return losses.mix_targets(x["target"], logits, probability)

    def _probability(self, step):
        settings = self.settings
        return losses.teacher_forcing_probability(
            settings.scheduled_sampling, step, settings.sampling_k, settings.sampling_probability
        )

    def _terms(self):
        """(weight, objective) of what is not left out."""
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
