"""Scores of decoded text.

`per` counts edits over symbols separated by white space: over phones it is the phone error rate,
over words the word error rate of speech recognition. `wer` counts whole items, as
grapheme-to-phoneme papers do: an item there is a word.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from keras_s2s import __version__
from keras_s2s.metrics import rouge

__all__ = ["SCORERS", "higher_is_better", "score", "signatures"]

_MODEL_METRICS = {"accuracy": True}  # whether higher is better
_MODEL_METRICS |= dict.fromkeys(("loss", "perplexity", "mae", "rmse"), False)
_TEACHER_FORCED = "nrefs:1|unit:piece|history:reference"


class Scorer(NamedTuple):
    """One of `SCORERS`: `compute(hypotheses, references, items)` in percent, and its signature.

    `signature()` may import the library that it names.
    """

    compute: Callable[..., float]
    higher_is_better: bool
    signature: Callable[[], str]


def score(
    names: Iterable[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    sources: Sequence[str] | None = None,
) -> dict[str, float]:
    """Scores decoded lines, in percent.

    - `bleu`, `chrf`, `ter`: sacrebleu's corpus scores with its default settings, line by line.
    - `rouge1`, `rouge2`, `rougeL`: the mean over lines of the F1 of words, of pairs of words and
      of the longest common subsequence (see `keras_s2s.metrics.rouge`).
    - `wer`: items whose hypothesis, split at white space, equals none of their references.
    - `exact`: 100 - `wer`.
    - `per`: edits over symbols separated by white space to the nearest reference, divided by the
      length of that reference.
    - `cer`: the same over characters.

    For the last four, lines with the same source are one item with several references; its
    hypothesis is that of the first such line.

    Args:
        names: names of the scores to compute.
        hypotheses, references: parallel lines of text.
        sources: their source lines; without them every line is an item of its own.

    Returns:
        dict of scores by name.

    Raises:
        ValueError: for an unknown name, no lines, or unequal numbers of lines.

    Example:

    >>> from keras_s2s.metrics import score
    >>> score(["wer", "per"], hypotheses=["a b", "c"], references=["a b", "d"])
    {'wer': 50.0, 'per': 33.333333333333336}
    """
    scorers = {name: _scorer(name) for name in names}
    _check_lines(hypotheses=hypotheses, references=references, sources=sources)
    items = _items(hypotheses, references, sources)
    return {name: scorer.compute(hypotheses, references, items) for name, scorer in scorers.items()}


def signatures(names: Iterable[str]) -> dict[str, str]:
    """Settings and versions of scores, to be reported with their values.

    Those of `bleu`, `chrf` and `ter` are sacrebleu's own (Post 2018, arXiv 1804.08771); `nrefs:var`
    means as many references as the item has.

    Args:
        names: names of `SCORERS`, or `accuracy` and `perplexity`, which depend on the tokenizer.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> from keras_s2s.metrics import signatures
    >>> signatures(["wer"])["wer"].split("|version")[0]
    'WER|nrefs:var|case:mixed|item:source|tok:space|unit:item'
    """
    return {
        name: _signature(name, _TEACHER_FORCED)
        if name in _MODEL_METRICS
        else _scorer(name).signature()
        for name in names
    }


def higher_is_better(name: str) -> bool:
    """Whether a higher score is better: false for error rates, loss and perplexity.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> from keras_s2s.metrics import higher_is_better
    >>> higher_is_better("bleu"), higher_is_better("cer")
    (True, False)
    """
    if name in _MODEL_METRICS:
        return _MODEL_METRICS[name]
    if name in SCORERS:
        return SCORERS[name].higher_is_better
    known = ", ".join((*SCORERS, *_MODEL_METRICS))
    raise ValueError(f"name: expected one of {known}, got {name!r}")


def _scorer(name):
    if name not in SCORERS:
        raise ValueError(f"names: expected some of {', '.join(SCORERS)}, got {name!r}")
    return SCORERS[name]


def _check_lines(**lines):
    counts = {name: len(side) for name, side in lines.items() if side is not None}
    if len(set(counts.values())) > 1:
        raise ValueError(f"lines: expected the same number in each, got {counts}")
    if not counts["references"]:
        raise ValueError("references: expected at least one line, got none")


def _items(hypotheses, references, sources):
    """(hypothesis, its references) of every item, in the order of the lines."""
    items = {}
    keys = range(len(references)) if sources is None else sources
    for key, hypothesis, reference in zip(keys, hypotheses, references, strict=True):
        items.setdefault(key, (hypothesis, []))[1].append(reference)
    return list(items.values())


def _sacrebleu_scorer(name, higher_is_better):
    """A sacrebleu metric with its default settings; `name` is the name of its class."""

    def run(hypotheses, references):
        import sacrebleu.metrics

        metric = getattr(sacrebleu.metrics, name)()
        return metric, metric.corpus_score(list(hypotheses), [list(references)])

    def compute(hypotheses, references, items):
        return run(hypotheses, references)[1].score

    def signature():
        metric, result = run(["-"], ["-"])  # scoring sets the number of references
        return f"{result.name}|{metric.get_signature()}"

    return Scorer(compute, higher_is_better, signature)


def _rouge_scorer(name, f1):
    """The mean of a ROUGE F1 over lines."""

    def compute(hypotheses, references, items):
        return 100.0 * sum(map(f1, hypotheses, references)) / len(references)

    return _local_scorer(name, compute, True, f"nrefs:1|case:lc|tok:{rouge.TOKENS}|stem:no|f1:mean")


def _local_scorer(name, compute, higher_is_better, settings):
    """A score computed here, with the version of keras_s2s in its signature."""
    return Scorer(compute, higher_is_better, lambda: _signature(name, settings))


def _signature(name, settings):
    return f"{name}|{settings}|version:keras_s2s-{__version__}"


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
    """Edits in percent of the references' symbols; if all references are empty, of one symbol."""
    from rapidfuzz.distance import Levenshtein

    edits = length = 0
    for hypothesis, references in items:
        predicted = symbols(hypothesis)
        nearest_edits, nearest_length = min(
            (Levenshtein.distance(predicted, reference), len(reference))
            for reference in map(symbols, references)
        )
        edits, length = edits + nearest_edits, length + nearest_length
    return 100.0 * edits / max(length, 1)


_ITEMS = "nrefs:var|case:mixed|item:source|tok:"

SCORERS = {
    "bleu": _sacrebleu_scorer("BLEU", True),
    "chrf": _sacrebleu_scorer("CHRF", True),
    "ter": _sacrebleu_scorer("TER", False),
    "rouge1": _rouge_scorer("ROUGE-1", lambda h, r: rouge.rouge_n(h, r, 1)),
    "rouge2": _rouge_scorer("ROUGE-2", lambda h, r: rouge.rouge_n(h, r, 2)),
    "rougeL": _rouge_scorer("ROUGE-L", rouge.rouge_l),
    "wer": _local_scorer("WER", _wer, False, f"{_ITEMS}space|unit:item"),
    "per": _local_scorer("PER", _per, False, f"{_ITEMS}space|unit:symbol|ref:nearest"),
    "cer": _local_scorer("CER", _cer, False, f"{_ITEMS}char|unit:char|ref:nearest"),
    "exact": _local_scorer("EXACT", _exact, True, f"{_ITEMS}space|unit:item"),
}
