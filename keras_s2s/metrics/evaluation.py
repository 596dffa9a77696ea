"""Evaluation of a translator: scores of its search and of teacher forcing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_s2s.data import make_example
from keras_s2s.metrics import Perplexity, TokenAccuracy, score, signatures

__all__ = ["TEACHER_FORCED", "Evaluation", "evaluate", "teacher_forcing"]

TEACHER_FORCED = {"accuracy": TokenAccuracy, "perplexity": Perplexity}


class Evaluation(NamedTuple):
    """Scores and signatures by name, and one hypothesis per pair, in the order of the corpus.

    `accuracy` is a fraction and `perplexity` a number, as in training; all others are in percent.
    """

    scores: dict[str, float]
    hypotheses: list[str]
    signatures: dict[str, str]


def evaluate(
    translator: Any,
    pairs: Sequence[tuple[Any, str]],
    names: Sequence[str],
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Evaluation:
    """Scores the references under teacher forcing, translates every source, and scores the result.

    Args:
        translator: a `Translator`.
        pairs: a list of (source text or frames [S, F], reference); empty ones count like all
            others.
        names: names of `TEACHER_FORCED` and of `metrics.SCORERS`.
        batch_size: sentences per batch.
        progress: called with the numbers of finished and of all sentences, over both passes.
        options: for `Translator.translate`.

    Raises:
        ValueError: for an unknown name.
    """
    searched = [name for name in names if name not in TEACHER_FORCED]
    forced = [name for name in names if name in TEACHER_FORCED]
    score(searched, ["-"], ["-"], ["-"])  # raises for an unknown name before the long work
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
        scores |= score(searched, hypotheses, references, _source_keys(sources))
    return Evaluation({name: scores[name] for name in names}, hypotheses, signatures(names))


def teacher_forcing(
    translator: Any,
    pairs: Sequence[tuple[Any, str]],
    names: Sequence[str],
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Teacher-forced scores over all tokens of the references, end tokens included.

    Args:
        translator: a `Translator`.
        pairs: a list of (source text or frames [S, F], reference).
        names: names of `TEACHER_FORCED`.
        batch_size: sentences per batch.
        progress: called with the number of finished sentences.

    Returns:
        dict of scores by name.
    """
    metrics = [TEACHER_FORCED[name](name=name) for name in names]
    update = _update_function(translator, metrics)
    # Similar lengths in a batch waste less on padding; the sums do not depend on the order.
    ordered = sorted(pairs, key=lambda pair: len(pair[1]))
    for first in range(0, len(ordered), batch_size):
        sources, references = zip(*ordered[first : first + batch_size], strict=True)
        update(tf.constant(_source_keys(sources)), tf.constant(references))
        if progress:
            progress(first + len(sources))
    return {metric.name: float(metric.result()) for metric in metrics}


def _source_keys(sources):
    """Texts unchanged, frames as their bytes."""
    return [
        source if isinstance(source, str) else source.astype("<f4").tobytes() for source in sources
    ]


def _update_function(translator, metrics):
    """A function of texts `[B]` and references `[B]` that updates `metrics`."""
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
