"""Scores of text against sacrebleu and a plain reference."""

import random

import pytest
import sacrebleu

from keras_s2s import __version__
from keras_s2s.config.training import TEXT_METRICS
from keras_s2s.metrics import (
    SCORERS,
    higher_is_better,
    score,
    signatures,
)


def random_lines(seed, count=60):
    """Random lines of phones; some sources occur again with other references."""
    r = random.Random(seed)

    def line(low):
        return " ".join(
            r.choice(["AA", "B", "K", "IY", "ß", "😀"]) for _ in range(r.randint(low, 6))
        )

    sources = [f"word{r.randrange(count // 2)}" for _ in range(count)]
    references = [line(1) for _ in range(count)]
    first = {source: n for n, source in reversed(list(enumerate(sources)))}
    hypotheses = [
        r.choice([references[first[s]], references[n], line(0)]) for n, s in enumerate(sources)
    ]
    return hypotheses, references, sources


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def error_rates(hypotheses, references, sources, symbols):
    """(items wrong, edit rate) as grapheme-to-phoneme papers count them."""
    expected, predicted = {}, {}
    for h, r, s in zip(hypotheses, references, sources, strict=True):
        expected.setdefault(s, []).append(symbols(r))
        predicted.setdefault(s, symbols(h))
    wrong = edits = total = 0
    for s, rows in expected.items():
        wrong += predicted[s] not in rows
        nearest = min((edit_distance(predicted[s], row), len(row)) for row in rows)
        edits, total = edits + nearest[0], total + nearest[1]
    return 100 * wrong / len(expected), 100 * edits / total


@pytest.mark.parametrize("seed", range(5))
def test_error_rates_equal_a_plain_count(seed):
    lines = random_lines(seed)
    scores = score(["wer", "per", "cer", "exact"], *lines)
    wer, per = error_rates(*lines, str.split)
    assert 0 < wer < 100
    assert scores["wer"] == pytest.approx(wer)
    assert scores["exact"] == pytest.approx(100 - wer)
    assert scores["per"] == pytest.approx(per)
    assert scores["cer"] == pytest.approx(error_rates(*lines, str)[1])


def test_error_rates_without_sources_count_every_line():
    hypotheses, references, sources = random_lines(9)
    scores = score(["wer", "per"], hypotheses, references)
    rates = error_rates(hypotheses, references, range(len(references)), str.split)
    assert (scores["wer"], scores["per"]) == pytest.approx(rates)
    assert scores["wer"] != pytest.approx(score(["wer"], hypotheses, references, sources)["wer"])


def test_error_rates_by_hand():
    hypotheses, references = ["A  B C", "A", "", "x"], ["A B C", "A B", "C", "x y"]
    scores = score(["wer", "per", "exact"], hypotheses, references, ["1", "2", "3", "4"])
    assert scores == pytest.approx({"wer": 75.0, "per": 100 * 3 / 8, "exact": 25.0})
    several = score(["wer", "per"], ["A B", "no"], ["A C", "A B"], ["same", "same"])
    assert several == {"wer": 0.0, "per": 0.0}


def test_error_rates_of_empty_references():
    assert score(["per", "cer", "wer"], [""], [""]) == {"per": 0.0, "cer": 0.0, "wer": 0.0}
    assert score(["per"], ["a b"], [""]) == {"per": 200.0}


@pytest.mark.parametrize("seed", range(3))
def test_bleu_chrf_and_ter_are_sacrebleu_line_by_line(seed):
    hypotheses, references, sources = random_lines(seed)
    scores = score(["bleu", "chrf", "ter"], hypotheses, references, sources)
    assert scores["bleu"] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert scores["chrf"] == sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert scores["ter"] == sacrebleu.corpus_ter(hypotheses, [references]).score
    same = score(["bleu", "ter"], references, references)
    assert same == pytest.approx({"bleu": 100.0, "ter": 0.0})


def test_ter_counts_a_shift_once():
    assert score(["ter"], ["d a b c"], ["a b c d"]) == {"ter": 25.0}


def test_signatures_name_settings_and_versions():
    scores = signatures(SCORERS)
    assert list(scores) == list(SCORERS) == list(TEXT_METRICS)
    version = sacrebleu.__version__
    bleu = sacrebleu.metrics.BLEU(references=[["-"]]).get_signature()
    assert scores["bleu"] == f"BLEU|{bleu}"
    assert scores["chrf"].startswith("chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|")
    assert scores["ter"].startswith("TER|nrefs:1|case:lc|tok:tercom|")
    for name in ("bleu", "chrf", "ter"):
        assert scores.pop(name).endswith(f"|version:{version}")
    scores |= signatures(["accuracy", "perplexity"])
    assert len(set(scores.values())) == 9
    for name, text in scores.items():
        assert text.split("|")[0].lower().replace("-", "") == name.lower()
        assert text.endswith(f"|version:keras_s2s-{__version__}")
    with pytest.raises(ValueError, match="got 'blue'"):
        signatures(["blue"])


def test_invalid_arguments():
    with pytest.raises(ValueError, match="names: expected some of bleu, .*, got 'blue'"):
        score(["blue"], ["a"], ["a"])
    with pytest.raises(ValueError, match="'hypotheses': 1, 'references': 2"):
        score(["wer"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="'sources': 2"):
        score(["wer"], ["a"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="references: expected at least one line"):
        score(["wer"], [], [])


def test_higher_is_better():
    better = {name: higher_is_better(name) for name in (*SCORERS, "accuracy", "loss", "perplexity")}
    expected = ["bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact", "accuracy"]
    assert [name for name, up in better.items() if up] == expected
    with pytest.raises(ValueError, match="got 'f1'"):
        higher_is_better("f1")
