"""Metrics of training, on logits, and scores of decoded text, on lines.

`TokenAccuracy` and `Perplexity` are Keras metrics for `compile(weighted_metrics=...)`. `score`
compares hypotheses with references the way papers do. What it calls `per` counts edits over
white-space symbols: over phones that is the phone error rate, over words it is what speech
recognition calls the word error rate. `wer` counts whole items, as grapheme-to-phoneme papers do:
an item there is a word.
"""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from keras_s2s.losses import token_log_probs

__all__ = ["SCORERS", "Perplexity", "TokenAccuracy", "higher_is_better", "score"]


class _TokenMean(keras.metrics.Metric):
    """A mean over tokens.

    `keras.metrics.Mean` will not do: it averages over T first, so that a batch counts by its
    share of real tokens and not by their number.
    """

    def __init__(self, name, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def add(self, values, weights):
        """Adds values [B, T], each as often as its weight [B, T] says; None counts each once."""
        weights = tf.ones_like(values) if weights is None else tf.cast(weights, values.dtype)
        # what has no weight may be anything: 0 * inf would be lost for good
        values = tf.where(weights == 0.0, 0.0, values)
        self.total.assign_add(tf.reduce_sum(values * weights))
        self.count.assign_add(tf.reduce_sum(weights))

    def result(self):
        return tf.math.divide_no_nan(self.total.value, self.count.value)


@keras.saving.register_keras_serializable("keras_s2s")
class TokenAccuracy(_TokenMean):
    """The share of real tokens that no other token outdoes under the logits.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # No arg-max: the loss needs the largest logit too, and the graph then computes it once.
        picked = tf.gather(y_pred, tf.cast(y_true, tf.int32), batch_dims=2)  # [B, T]
        likeliest = picked >= tf.reduce_max(y_pred, -1)
        self.add(tf.cast(likeliest, tf.float32), sample_weight)


@keras.saving.register_keras_serializable("keras_s2s")
class Perplexity(_TokenMean):
    """exp of the mean negative log-probability of the real tokens, without label smoothing.

    `update_state(y_true, y_pred, sample_weight=None)` takes ids [B, T], logits [B, T, V'] of any
    float type and weights [B, T]; a token counts as much as its weight.
    """

    def __init__(self, name="perplexity", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        logits = tf.cast(y_pred, tf.float32)
        self.add(-token_log_probs(logits, tf.cast(y_true, tf.int32)), sample_weight)

    def result(self):
        return tf.exp(super().result())


def score(
    names: Iterable[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    sources: Sequence[str] | None = None,
) -> dict[str, float]:
    """Scores decoded lines, in percent.

    - `bleu`, `chrf`: sacrebleu's corpus scores with its default settings, line by line.
    - `wer`: items whose hypothesis, split at white space, equals none of their references.
    - `exact`: 100 - `wer`.
    - `per`: edits over white-space symbols to the nearest reference, over that one's length.
    - `cer`: the same over characters.

    For the last four, lines with the same source are one item with several references; its
    hypothesis is that of the first such line.

    Args:
        names: which of these to compute.
        hypotheses, references: lines of text, one beside the other.
        sources: their source lines; without them every line is an item of its own.

    Raises:
        ValueError: an unknown name, no lines, or unequal numbers of lines.
    """
    names = list(names)
    for name in names:
        if name not in SCORERS:
            raise ValueError(f"names: expected some of {', '.join(SCORERS)}, came {name!r}")
    _check_lines(hypotheses=hypotheses, references=references, sources=sources)
    items = _items(hypotheses, references, sources)
    return {name: SCORERS[name](hypotheses, references, items) for name in names}


def higher_is_better(name: str) -> bool:
    """Whether more is better: true of bleu, chrf, exact and accuracy, false of error rates, loss
    and perplexity.

    Raises:
        ValueError: an unknown name.
    """
    if name in ("bleu", "chrf", "exact", "accuracy"):
        return True
    if name in ("wer", "per", "cer", "loss", "perplexity"):
        return False
    known = ", ".join((*SCORERS, "accuracy", "loss", "perplexity"))
    raise ValueError(f"name: expected one of {known}, came {name!r}")


def _check_lines(**lines):
    counts = {name: len(given) for name, given in lines.items() if given is not None}
    if len(set(counts.values())) > 1:
        raise ValueError(f"expected as many lines in each, came {counts}")
    if not counts["references"]:
        raise ValueError("references: expected at least one line, came none")


def _items(hypotheses, references, sources):
    """(hypothesis, its references) of every item, in the order of the lines."""
    items = {}
    keys = range(len(references)) if sources is None else sources
    for key, hypothesis, reference in zip(keys, hypotheses, references, strict=True):
        items.setdefault(key, (hypothesis, []))[1].append(reference)
    return list(items.values())


def _bleu(hypotheses, references, items):
    import sacrebleu

    return sacrebleu.corpus_bleu(list(hypotheses), [list(references)]).score


def _chrf(hypotheses, references, items):
    import sacrebleu

    return sacrebleu.corpus_chrf(list(hypotheses), [list(references)]).score


def _wer(hypotheses, references, items):
    wrong = sum(
        hypothesis.split() not in [reference.split() for reference in references]
        for hypothesis, references in items
    )
    return 100.0 * wrong / len(items)


def _exact(hypotheses, references, items):
    return 100.0 - _wer(hypotheses, references, items)


def _per(hypotheses, references, items):
    return _edit_rate(items, str.split)


def _cer(hypotheses, references, items):
    return _edit_rate(items, str)


def _edit_rate(items, symbols):
    """Edits in percent of the references' symbols; of references all empty, of one symbol."""
    from rapidfuzz.distance import Levenshtein

    edits = length = 0
    for hypothesis, references in items:
        given, wanted = symbols(hypothesis), map(symbols, references)
        nearest = min((Levenshtein.distance(given, one), len(one)) for one in wanted)
        edits, length = edits + nearest[0], length + nearest[1]
    return 100.0 * edits / max(length, 1)


SCORERS = {
    "bleu": _bleu,
    "chrf": _chrf,
    "wer": _wer,
    "per": _per,
    "cer": _cer,
    "exact": _exact,
}
