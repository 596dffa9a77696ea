"""How good a translator is: what its search finds, and what teacher forcing says."""

from typing import NamedTuple

import tensorflow as tf

from keras_s2s.data import make_example
from keras_s2s.metrics import Perplexity, TokenAccuracy, score, signatures

__all__ = ["TEACHER_FORCED", "Evaluation", "evaluate", "teacher_forcing"]

TEACHER_FORCED = {"accuracy": TokenAccuracy, "perplexity": Perplexity}


class Evaluation(NamedTuple):
    """Scores and signatures by name, and one hypothesis for every pair, in the corpus's order.

    `accuracy` is a share and `perplexity` a number, as in training; all others are in percent.
    """

    scores: dict
    hypotheses: list
    signatures: dict


def evaluate(translator, pairs, names, *, batch_size=32, progress=None, **options) -> Evaluation:
    """Feeds the model the references, translates every source, and scores both.

    Args:
        translator: a `Translator`.
        pairs: a list of (source text or frames [S, F], reference); empty ones count like all
            others.
        names: of `TEACHER_FORCED` and of `metrics.SCORERS`.
        batch_size: sentences at a time.
        progress: called with the sentences done and the sentences to do, over both passes.
        options: for `Translator.translate`.

    Raises:
        ValueError: a name that is neither.
    """
    searched = [name for name in names if name not in TEACHER_FORCED]
    forced = [name for name in names if name in TEACHER_FORCED]
    score(searched, ["-"], ["-"], ["-"])  # an unknown name is known before the long work
    total = len(pairs) * (bool(searched) + bool(forced))
    report = progress or (lambda done, total: None)
    scores, hypotheses = {}, []
    if forced:
        scores |= teacher_forcing(
            translator, pairs, forced, batch_size, lambda done: report(done, total)
        )
    if searched:
        sources, references = map(list, zip(*pairs, strict=True))
        for first in range(0, len(pairs), batch_size):
            batch = sources[first : first + batch_size]
            hypotheses += translator.translate(batch, batch_size=batch_size, **options)
            report(total - len(pairs) + len(hypotheses), total)
        scores |= score(searched, hypotheses, references, _as_rows(sources))
    return Evaluation({name: scores[name] for name in names}, hypotheses, signatures(names))


def teacher_forcing(translator, pairs, names, batch_size=32, progress=None) -> dict:
    """Scores of `TEACHER_FORCED` over all tokens of the references, ends included, by name."""
    metrics = [TEACHER_FORCED[name](name=name) for name in names]
    update = _updater(translator, metrics)
    # like lengths together waste less on padding; sums over tokens do not mind the order
    ordered = sorted(pairs, key=lambda pair: len(pair[1]))
    for first in range(0, len(ordered), batch_size):
        sources, references = zip(*ordered[first : first + batch_size], strict=True)
        update(tf.constant(_as_rows(sources)), tf.constant(references))
        if progress:
            progress(first + len(sources))
    return {metric.name: float(metric.result()) for metric in metrics}


def _as_rows(sources):
    """Texts as they are, frames as their bytes."""
    return [one if isinstance(one, str) else one.astype("<f4").tobytes() for one in sources]


def _updater(translator, metrics):
    """A function of texts `[B]` and references `[B]` that brings `metrics` up to date."""
    source, target = translator.source_tokenizer, translator.target_tokenizer

    def update(sources, references):
        x, y, weight = make_example(
            source.tokenize(sources),
            target.tokenize(references),
            source,
            target,
            copy=translator.model.supports_copy,
        )
        logits = translator.model(x, training=False)  # [B, T, V']
        for metric in metrics:
            metric.update_state(y, logits, weight)

    text = tf.TensorSpec([None], tf.string)
    return tf.function(update, input_signature=[text, text], autograph=False)
