"""Scores of decoded text, on lines.

What is called `per` counts edits over white-space symbols: over phones that is the phone error
rate, over words it is what speech recognition calls the word error rate. `wer` counts whole items,
as grapheme-to-phoneme papers do: an item there is a word.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from keras_s2s import __version__
from keras_s2s.metrics import rouge

__all__ = ["SCORERS", "higher_is_better", "score", "signatures"]

_MODEL_METRICS = {"accuracy": True}  # is more better?
_MODEL_METRICS |= dict.fromkeys(("loss", "perplexity", "mae", "rmse"), False)
_FORCED = "nrefs:1|unit:piece|history:reference"  # as teacher forcing has it


class Scorer(NamedTuple):
    """One of `SCORERS`: `compute(hypotheses, references, items)` in percent, and what to say of it.

    `signature()` may import the library that it names.
    """

    compute: Callable
    higher_is_better: bool
    signature: Callable


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
    chosen = {name: _scorer(name) for name in names}
    _check_lines(hypotheses=hypotheses, references=references, sources=sources)
    items = _items(hypotheses, references, sources)
    return {name: one.compute(hypotheses, references, items) for name, one in chosen.items()}


def signatures(names: Iterable[str]) -> dict[str, str]:
    """What a figure has to say beside it: how each was computed, and by which version.

    Those of `bleu`, `chrf` and `ter` are sacrebleu's own (Post 2018, arXiv 1804.08771); `nrefs:var`
    means as many references as the item has.

    Args:
        names: of `SCORERS`, or `accuracy` and `perplexity`, which depend on the tokenizer.

    Raises:
        ValueError: an unknown name.
    """
    return {
        name: _signature(name, _FORCED) if name in _MODEL_METRICS else _scorer(name).signature()
        for name in names
    }


def higher_is_better(name: str) -> bool:
    """Whether more is better: true of bleu, chrf, rouge, exact and accuracy, false of error rates,
    loss and perplexity.

    Raises:
        ValueError: an unknown name.
    """
    if name in _MODEL_METRICS:
        return _MODEL_METRICS[name]
    if name in SCORERS:
        return SCORERS[name].higher_is_better
    known = ", ".join((*SCORERS, *_MODEL_METRICS))
    raise ValueError(f"name: expected one of {known}, came {name!r}")


def _scorer(name):
    if name not in SCORERS:
        raise ValueError(f"names: expected some of {', '.join(SCORERS)}, came {name!r}")
    return SCORERS[name]


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


def _sacrebleu_scorer(name, higher_is_better):
    """A metric of sacrebleu with its default settings; `name` is that of its class."""

    def run(hypotheses, references):
        import sacrebleu.metrics

        metric = getattr(sacrebleu.metrics, name)()
        return metric, metric.corpus_score(list(hypotheses), [list(references)])

    def compute(hypotheses, references, items):
        return run(hypotheses, references)[1].score

    def signature():
        metric, found = run(["-"], ["-"])  # until it has scored it knows no number of references
        return f"{found.name}|{metric.get_signature()}"

    return Scorer(compute, higher_is_better, signature)


def _rouge_scorer(name, f1):
    def compute(hypotheses, references, items):
        return 100.0 * sum(map(f1, hypotheses, references)) / len(references)

    return _own_scorer(name, compute, True, f"nrefs:1|case:lc|tok:{rouge.TOKENS}|stem:no|f1:mean")


def _own_scorer(name, compute, higher_is_better, settings):
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
    """Edits in percent of the references' symbols; of references all empty, of one symbol."""
    from rapidfuzz.distance import Levenshtein

    edits = length = 0
    for hypothesis, references in items:
        given, wanted = symbols(hypothesis), map(symbols, references)
        nearest = min((Levenshtein.distance(given, one), len(one)) for one in wanted)
        edits, length = edits + nearest[0], length + nearest[1]
    return 100.0 * edits / max(length, 1)


_ITEMS = "nrefs:var|case:mixed|item:source|tok:"

SCORERS = {
    "bleu": _sacrebleu_scorer("BLEU", True),
    "chrf": _sacrebleu_scorer("CHRF", True),
    "ter": _sacrebleu_scorer("TER", False),
    "rouge1": _rouge_scorer("ROUGE-1", lambda h, r: rouge.rouge_n(h, r, 1)),
    "rouge2": _rouge_scorer("ROUGE-2", lambda h, r: rouge.rouge_n(h, r, 2)),
    "rougeL": _rouge_scorer("ROUGE-L", rouge.rouge_l),
    "wer": _own_scorer("WER", _wer, False, f"{_ITEMS}space|unit:item"),
    "per": _own_scorer("PER", _per, False, f"{_ITEMS}space|unit:symbol|ref:nearest"),
    "cer": _own_scorer("CER", _cer, False, f"{_ITEMS}char|unit:char|ref:nearest"),
    "exact": _own_scorer("EXACT", _exact, True, f"{_ITEMS}space|unit:item"),
}
