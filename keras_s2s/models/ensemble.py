"""Several checkpoints as one model."""

import tensorflow as tf

__all__ = ["Ensemble"]


class Ensemble:
    """The mean of several models' probabilities, for search, scores and attention.

    It offers what a `Seq2Seq` offers to those who only decode: `begin`, `next`, a call, and the
    sizes of its vocabularies. The alignment is the models' mean; with `maps="all"` the maps of
    all models follow one another.

    Args:
        models: `Seq2Seq`s with the same vocabularies; their architectures may differ.

    Raises:
        ValueError: without a model, or when sizes differ or only some of the models copy.

    Reference: Sutskever et al. 2014, arXiv:1409.3215, section 3.6.
    """

    def __init__(self, models):
        if not models:
            raise ValueError("models: expected at least one, came none")
        first = models[0]
        for number, model in enumerate(models[1:], 2):
            for name, one, other in (
                ("source tokens", first.source.size, model.source.size),
                ("target tokens", first.vocabulary_size, model.vocabulary_size),
                ("copies", first.supports_copy, model.supports_copy),
            ):
                if one != other:
                    raise ValueError(
                        f"models: expected {name} {one} as in the first, came {other} in model"
                        f" {number}"
                    )
        self.models = list(models)
        self.source, self.supports_copy = first.source, first.supports_copy
        self.vocabulary_size = first.vocabulary_size

    @property
    def weights(self):
        """The weights of all models."""
        return [weight for model in self.models for weight in model.weights]

    @property
    def attention_names(self):
        """As `Seq2Seq.attention_names`, with the number of the model before each name."""
        keys = self.models[0].attention_names
        return {
            key: [
                f"model {number} {name}"
                for number, model in enumerate(self.models, 1)
                for name in model.attention_names[key]
            ]
            for key in keys
        }

    def __call__(self, inputs, maps="none", training=False):
        """Log-probabilities float32 [B, T, V'], and maps as a `Seq2Seq` gives them."""
        outputs = [model(inputs, maps=maps, training=training) for model in self.models]
        if maps == "none":
            return _mean_of_logits(outputs)
        attention, given = [output["attention"] for output in outputs], {}
        for key in sorted(set().union(*attention)):
            found = [one[key] for one in attention if key in one]
            given[key] = tf.concat(found, 1) if maps == "all" else _mean(found)
        return {"logits": _mean_of_logits([o["logits"] for o in outputs]), "attention": given}

    def prepare_search(self, tokens=None):
        """As `Seq2Seq.prepare_search`; nothing is laid out anew, for the mean needs all columns."""
        if tokens is not None:
            raise ValueError("tokens: expected None for an ensemble, whose mean needs all columns")
        return []

    def begin(self, source, num_hypotheses, max_length=None):
        """As `Seq2Seq.begin`: context, leaves [B, ...], and state, leaves [B, K, ...]."""
        begun = [model.begin(source, num_hypotheses, max_length) for model in self.models]
        contexts, states = zip(*begun, strict=True)
        return _by_number(contexts), _by_number(states)

    def next(self, ids, position, context, state, maps="alignment", normalize=True):
        """As `Seq2Seq.next`: log-probabilities [B, K, V'], state, alignment [B, K, S] or None."""
        found = [
            model.next(ids, position, context[name], state[name], maps=maps)
            for name, model in zip(context, self.models, strict=True)
        ]
        log_probs, states, alignments = zip(*found, strict=True)
        alignment = None if maps == "none" else _mean(alignments)
        return _mean_of_logits(log_probs), _by_number(states), alignment


def _by_number(parts):
    return {f"model_{number}": part for number, part in enumerate(parts)}


def _mean(tensors):
    return tf.add_n(list(tensors)) / len(tensors)


def _mean_of_logits(logits):
    """Logarithm of the mean of the probabilities."""
    log_probs = tf.stack([tf.nn.log_softmax(x) for x in logits])
    return tf.reduce_logsumexp(log_probs, 0) - tf.math.log(float(len(logits)))
