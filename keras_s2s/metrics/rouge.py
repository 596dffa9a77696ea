"""ROUGE (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", sections 2 and 3).

For text of ASCII letters and digits the counts equal those of the rouge-score package without its
stemmer. That package drops every other character, and with it most of the text of other languages;
here a word is a run of letters, digits and combining marks of any script. Text of languages written
without spaces must be segmented first.
"""

from collections import Counter

import regex
from rapidfuzz.distance import LCSseq

__all__ = ["TOKENS", "rouge_l", "rouge_n", "words"]

TOKENS = "letters-digits-marks"  # for a signature
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")


def words(text: str) -> list[str]:
    """Runs of letters, digits and combining marks of a text, in lower case."""
    return _WORD.findall(text.lower())


def rouge_n(hypothesis: str, reference: str, n: int) -> float:
    """F1 of the n-grams of words, 0 to 1, each matched as often as it occurs in both texts."""
    predicted, expected = (_ngrams(words(text), n) for text in (hypothesis, reference))
    return _f1((predicted & expected).total(), predicted.total(), expected.total())


def rouge_l(hypothesis: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1, with each line as one sentence."""
    predicted, expected = words(hypothesis), words(reference)
    return _f1(LCSseq.similarity(predicted, expected), len(predicted), len(expected))


def _ngrams(tokens, n):
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _f1(matched, predicted, expected):
    """2 P R / (P + R) with P = matched / predicted and R = matched / expected."""
    return 2.0 * matched / (predicted + expected) if matched else 0.0
