"""Coverage of texts with known figures."""

import gzip
import json

import numpy as np
import pytest

from keras_s2s import tokenizers
from keras_s2s.config import Corpus, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.metrics.tokenizer_coverage import measure
from keras_s2s.tokenizers import Characters, Whitespace

SOURCES = ["a b c", "", "b b", "x yz a b c a", "a"]
TARGETS = ["1 2", "3", "", "2 2 2", "1"]
NUMBERS = Whitespace(["1", "2", "never"])


def write_corpus(folder, name="train"):
    for side, lines in (("a", SOURCES), ("b", TARGETS)):
        (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines))
    return Corpus(source=str(folder / f"{name}.a"), target=str(folder / f"{name}.b"))


def test_figures_of_a_small_corpus(tmp_path):
    corpus = write_corpus(tmp_path)
    coverage = measure(corpus, Whitespace(["a", "b", "c"]), NUMBERS, max_length=2, most=3)
    source, target = coverage["source"], coverage["target"]
    assert (source.lines, source.empty, source.pieces) == (5, 1, 12)
    assert source.known == pytest.approx(10 / 12)
    assert source.characters == sum(map(len, SOURCES))
    assert source.known_characters == pytest.approx(1 - 3 / source.characters)
    assert source.mean == pytest.approx(12 / 5)
    assert source.percentiles == {50: 2, 95: 6, 99: 6}
    assert (source.longest, source.beyond) == (6, 2)
    assert source.offenders == [(f"{tmp_path}/train.a:{n}", k) for n, k in ((4, 6), (1, 3), (3, 2))]
    assert sorted(source.unknown) == [("x", 1), ("yz", 1)]
    assert (target.used, target.pieces) == (2, 7)
    assert target.offenders[0] == (f"{tmp_path}/train.b:4", 3)


def test_percentiles_equal_those_of_numpy(tmp_path):
    r = np.random.default_rng(0)
    lengths = r.integers(0, 60, 1300)
    lines = [f"{'a ' * n}\t1\n" for n in lengths]
    with gzip.open(tmp_path / "pairs.tsv.gz", "wt") as file:
        file.writelines(lines)
    calls = []
    corpus = Corpus(pairs=str(tmp_path / "pairs.tsv.gz"))
    coverage = measure(corpus, Whitespace(["a"]), NUMBERS, max_length=50, progress=calls.append)
    expected = np.percentile(lengths, (50, 95, 99), method="inverted_cdf")
    assert list(coverage["source"].percentiles.values()) == expected.tolist()
    assert coverage["source"].beyond == (lengths > 50).sum()
    assert coverage["source"].mean == pytest.approx(lengths.mean())
    longest = [(f"{corpus.pairs}:{n + 1}", 59) for n in np.flatnonzero(lengths == 59)]
    assert coverage["source"].offenders[: len(longest)] == longest[:5]
    assert calls == [1024, 1300]


def test_several_corpora_are_counted_together(tmp_path):
    first, second = write_corpus(tmp_path), write_corpus(tmp_path, "more")
    coverage = measure([first, second], Characters(["a", " "]), NUMBERS, 9, most=2)["source"]
    assert coverage.lines == 10
    assert coverage.offenders == [(f"{tmp_path}/{name}.a:4", 12) for name in ("train", "more")]
    assert json.loads(json.dumps(coverage.to_dict()))["unknown"] == [["b", 8], ["c", 4]]


def test_empty_texts(tmp_path):
    (tmp_path / "pairs.tsv").write_text("\t\n")
    coverage = measure(Corpus(pairs=str(tmp_path / "pairs.tsv")), NUMBERS, NUMBERS, 5)["target"]
    assert (coverage.known, coverage.known_characters, coverage.mean, coverage.longest) == (
        1.0,
        1.0,
        0.0,
        0,
    )


def test_subword_marks_are_not_characters(tmp_path):
    (tmp_path / "pairs.tsv").write_text("aé aé\t1\n")
    corpus = Corpus(pairs=str(tmp_path / "pairs.tsv"))
    config = TokenizerConfig("wordpiece", size=20)
    coverage = measure(corpus, tokenizers.train(config, ["ab"]), NUMBERS, 5)["source"]
    assert (coverage.characters, coverage.unknown) == (5, [("##é", 2)])
    assert coverage.known_characters == pytest.approx(3 / 5)
    coverage = measure(corpus, tokenizers.train(TokenizerConfig("bytes"), ()), NUMBERS, 5)["source"]
    assert (coverage.pieces, coverage.characters, coverage.known_characters) == (7, 5, 1.0)


def test_an_invalid_line_is_reported(tmp_path):
    (tmp_path / "pairs.tsv").write_text("a\t1\nb\n")
    with pytest.raises(UserError, match=r"pairs\.tsv:2: expected source<TAB>target, got no tab"):
        measure(Corpus(pairs=str(tmp_path / "pairs.tsv")), NUMBERS, NUMBERS, 5)
