"""ROUGE against a plain reference and published examples."""

import random

import numpy as np
import pytest

from keras_s2s.metrics import (
    score,
)


def overlap_f1(predicted, expected):
    """F1 of two lists as multisets."""
    remaining, matched = list(expected), 0
    for item in predicted:
        if item in remaining:
            remaining.remove(item)
            matched += 1
    return f1(matched, len(predicted), len(expected))


def subsequence_f1(predicted, expected):
    """F1 of the longest common subsequence, by the table of its textbook recursion."""
    table = np.zeros((len(predicted) + 1, len(expected) + 1), int)
    for i, x in enumerate(predicted):
        for j, y in enumerate(expected):
            longer = max(table[i, j + 1], table[i + 1, j])
            table[i + 1, j + 1] = table[i, j] + 1 if x == y else longer
    return f1(table[-1, -1], len(predicted), len(expected))


def f1(matched, predicted, expected):
    if not matched:
        return 0.0
    precision, recall = matched / predicted, matched / expected
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(3))
def test_rouge_equals_a_plain_count(seed):
    r = random.Random(seed)
    rows = [
        [[r.choice("abcde") for _ in range(r.randrange(9))] for _ in range(40)] for _ in range(2)
    ]
    lines = [[" ".join(words) for words in side] for side in rows]
    scores = score(["rouge1", "rouge2", "rougeL"], *lines)
    pairs = [[list(zip(w, w[1:], strict=False)) for w in side] for side in rows]
    assert scores["rouge1"] == pytest.approx(100 * np.mean(list(map(overlap_f1, *rows))))
    assert scores["rouge2"] == pytest.approx(100 * np.mean(list(map(overlap_f1, *pairs))))
    assert scores["rougeL"] == pytest.approx(100 * np.mean(list(map(subsequence_f1, *rows))))


def test_rouge_of_the_papers_example():
    # section 3.1: both share three words with the reference, police killed the gunman
    hypotheses = ["police kill the gunman", "the gunman kill police"]
    scores = [
        score(["rouge2", "rougeL"], [text], ["police killed the gunman"]) for text in hypotheses
    ]
    assert [row["rougeL"] for row in scores] == pytest.approx([75.0, 50.0])
    assert [row["rouge2"] for row in scores] == pytest.approx([100 / 3, 100 / 3])


def test_rouge_reads_words_of_any_script():
    names = ["rouge1"]
    assert score(names, ["Mädchen, laut!"], ["mädchen LAUT"]) == {"rouge1": 100.0}
    assert score(names, ["नमस्ते"], ["नमस्ते दुनिया"])["rouge1"] == pytest.approx(200 / 3)
    assert score(names, ["a_b"], ["a b"]) == {"rouge1": 100.0}
    assert score(names, ["...", ""], ["...", "a"]) == {"rouge1": 0.0}
