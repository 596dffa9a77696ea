"""ROUGE (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", sections 2 and 3).

For text of ASCII letters and digits it counts as the rouge-score package does without its stemmer.
That package drops every other character, which leaves little of most languages; here a word is a
run of letters, digits and their marks of any script. What is written without spaces has to come
with spaces between its words.
"""

from collections import Counter

import regex
from rapidfuzz.distance import LCSseq

__all__ = ["TOKENS", "rouge_l", "rouge_n", "words"]

TOKENS = "letters-digits-marks"  # for a signature
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")


def words(text: str) -> list[str]:
    """The runs of letters, digits and marks of a text, in lower case."""
    return _WORD.findall(text.lower())


def rouge_n(hypothesis: str, reference: str, n: int) -> float:
    """F1 of the n-grams of words, 0 to 1, each matched as often as both texts hold it."""
    given, wanted = (_ngrams(words(text), n) for text in (hypothesis, reference))
    return _f1((given & wanted).total(), given.total(), wanted.total())


def rouge_l(hypothesis: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1, the line taken as one sentence."""
    given, wanted = words(hypothesis), words(reference)
    return _f1(LCSseq.similarity(given, wanted), len(given), len(wanted))


def _ngrams(tokens, n):
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _f1(matched, given, wanted):
    """2 P R / (P + R) with P = matched / given and R = matched / wanted."""
    return 2.0 * matched / (given + wanted) if matched else 0.0
