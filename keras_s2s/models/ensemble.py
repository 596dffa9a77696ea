"""Several models as one."""

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_s2s.layers.loop_backend import TENSORFLOW, LoopBackend

__all__ = ["Ensemble"]


class Ensemble:
    """The mean of the probabilities of several models, for search, scores and attention.

    It has the interface of a `Seq2Seq` for decoding: `begin`, `next`, a call, and the sizes of the
    vocabularies. The alignment is the mean of the models' alignments; with `maps="all"` the maps of
    all models are concatenated.

    Args:
        models: `Seq2Seq`s with the same vocabularies; their architectures may differ.

    Raises:
        ValueError: without a model, or when sizes differ or only some of the models copy.

    Reference: Sutskever et al. 2014, arXiv:1409.3215, section 3.6.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> from keras_s2s.models import build
    >>> from keras_s2s.models.ensemble import Ensemble
    >>> models = [build(ModelConfig(preset=name), 20, 30) for name in ("gru_small", "cho")]
    >>> Ensemble(models).vocabulary_size
    30
    """

    def __init__(self, models: Sequence[Any]) -> None:
        if not models:
            raise ValueError("models: expected at least one, got none")
        first = models[0]
        for number, model in enumerate(models[1:], 2):
            for name, expected, got in (
                ("source tokens", first.source.size, model.source.size),
                ("target tokens", first.vocabulary_size, model.vocabulary_size),
                ("copies", first.supports_copy, model.supports_copy),
            ):
                if expected != got:
                    raise ValueError(
                        f"models: expected {name} {expected} as in the first, got {got} in model"
                        f" {number}"
                    )
        self.models = list(models)
        self.source, self.supports_copy = first.source, first.supports_copy
        self.vocabulary_size = first.vocabulary_size

    @property
    def weights(self) -> list[Any]:
        """The weights of all models."""
        return [weight for model in self.models for weight in model.weights]

    @property
    def attention_names(self) -> dict[str, list[str]]:
        """As `Seq2Seq.attention_names`, each name after the number of its model."""
        return {
            key: [
                f"model {number} {name}"
                for number, model in enumerate(self.models, 1)
                for name in model.attention_names[key]
            ]
            for key in self.models[0].attention_names
        }

    def __call__(
        self,
        inputs: dict[str, Any],
        maps: str = "none",
        training: bool = False,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tf.Tensor | dict[str, Any]:
        """Log-probabilities float32 [B, T, V'], and maps as a `Seq2Seq` returns them."""
        outputs = [
            model(inputs, maps=maps, training=training, loop_backend=loop_backend)
            for model in self.models
        ]
        if maps == "none":
            return _mean_of_logits(outputs)
        model_maps, attention = [output["attention"] for output in outputs], {}
        for key in sorted(set().union(*model_maps)):
            tensors = [maps_by_key[key] for maps_by_key in model_maps if key in maps_by_key]
            attention[key] = tf.concat(tensors, 1) if maps == "all" else _mean(tensors)
        logits = _mean_of_logits([output["logits"] for output in outputs])
        return {"logits": logits, "attention": attention}

    def make_search_weights(self, tokens: Sequence[int] | None = None) -> None:
        """None: the mean over models needs all columns of their log-probabilities.

        Raises:
            ValueError: for `tokens`.
        """
        if tokens is not None:
            raise ValueError("tokens: expected None for an ensemble, whose mean needs all columns")

    def begin(
        self,
        source: dict[str, Any],
        num_hypotheses: tf.Tensor | int,
        max_length: tf.Tensor | int | None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `Seq2Seq.begin`: context, leaves [B, ...], and state, leaves [B, K, ...]."""
        pairs = [
            model.begin(source, num_hypotheses, max_length, loop_backend) for model in self.models
        ]
        contexts, states = zip(*pairs, strict=True)
        return _by_number(contexts), _by_number(states)

    def next(
        self,
        ids: tf.Tensor,
        position: tf.Tensor,
        context: dict[str, Any],
        state: dict[str, Any],
        maps: str = "alignment",
        normalize: bool = True,
        search_weights: None = None,
        loop_backend: LoopBackend = TENSORFLOW,
    ) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor | None]:
        """As `Seq2Seq.next`: log-probabilities [B, K, V'], state, alignment [B, K, S] or None."""
        results = [
            model.next(
                ids, position, context[name], state[name], maps=maps, loop_backend=loop_backend
            )
            for name, model in zip(context, self.models, strict=True)
        ]
        log_probs, states, alignments = zip(*results, strict=True)
        alignment = None if maps == "none" else _mean(alignments)
        return _mean_of_logits(log_probs), _by_number(states), alignment


def _by_number(values: Iterable[Any]) -> dict[str, Any]:
    return {f"model_{number}": value for number, value in enumerate(values)}


def _mean(tensors):
    return tf.add_n(list(tensors)) / len(tensors)


def _mean_of_logits(logits):
    """Logarithm of the mean of the probabilities."""
    log_probs = tf.stack([tf.nn.log_softmax(x) for x in logits])
    return tf.reduce_logsumexp(log_probs, 0) - tf.math.log(float(len(logits)))
