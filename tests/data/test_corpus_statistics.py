"""Surveys of several corpora, what they leave out and why, and the weights that batches carry."""

import gzip
import json
import random
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import data
from keras_s2s.config import Corpus, SubwordSampling
from keras_s2s.data import duplicates
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Whitespace

WORDS = Whitespace([*"abcdefgh", *(f"{n}" for n in range(100))])


def corpus(path, rows, **options):
    """Rows of (source, target[, weight]) as a table."""
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return Corpus(pairs=str(path), **options)


def survey(corpora, max_length=6, **limits):
    return data.scan_corpora(corpora, WORDS, WORDS, max_length, **limits)


def batches(corpora, **options):
    options = {"batch_tokens": 28, "max_length": 6, "training": False} | options
    return data.batches(corpora, WORDS, WORDS, **options)


def texts_of(dataset):
    """(source, target, weight) of every row."""
    for x, y, weights in dataset:
        sides = [WORDS.detokenize(WORDS.strings(ids)).numpy() for ids in (x["source"]["ids"], y)]
        for source, target, weight in zip(*sides, weights.numpy()[:, 0].tolist(), strict=True):
            yield source.decode(), target.decode(), weight


ROWS = [
    ("a b", "c d"),
    ("a b", "c d"),
    ("", "a"),
    ("a", "b"),
    ("a b c d e f g", "a b"),
    ("a b", "a b c d e"),
    ("a b", "c"),
    ("a b", "c  d"),
    ("a b c", "d e"),
    ("a b c", "d e f"),
]


@pytest.mark.parametrize(
    "limits,expected",
    [
        ({}, {"too_long": 1, "empty": 1}),
        ({"min_length": 2}, {"empty": 1, "too_short": 2, "too_long": 1}),
        ({"max_ratio": 2.4}, {"empty": 1, "too_long": 1, "unbalanced": 1}),
        ({"max_ratio": 1.5}, {"empty": 1, "too_long": 1, "unbalanced": 2}),
        ({"unique": True}, {"empty": 1, "too_long": 1, "duplicates": 1}),
        (
            {"min_length": 2, "max_ratio": 1.0, "unique": True},
            {"empty": 1, "too_short": 2, "too_long": 1, "unbalanced": 2, "duplicates": 1},
        ),
    ],
)
def test_filters_leave_out_what_they_say(tmp_path, limits, expected):
    only = corpus(tmp_path / "p", ROWS)
    found = survey(only, **limits)
    reasons = ("empty", "too_short", "too_long", "unbalanced", "duplicates")
    assert {name: getattr(found, name) for name in reasons} == dict.fromkeys(reasons, 0) | expected
    assert found.kept == len(ROWS) - sum(expected.values())
    made = [row[:2] for row in texts_of(batches(only, statistics=found))]
    assert len(made) == found.kept
    assert found.target_tokens == sum(len(target.split()) for _, target in made)
    assert Counter(made) <= Counter((s, " ".join(t.split())) for s, t in ROWS)


def test_each_corpus_is_described_by_its_name(tmp_path):
    corpora = [corpus(tmp_path / "p", ROWS), corpus(tmp_path / "q", [("a b", "c d"), ("a", "e")])]
    found = survey(corpora, unique=True, max_ratio=2, min_length=2)
    left_out = "with an empty side and 2 below 2 tokens and 1 beyond 6 tokens"
    balance = "1 with a side more than 2 times the other and 1 that stood before"
    assert found.describe() == [
        f"{tmp_path}/p: 10 pairs, 9 target tokens; skipped 1 {left_out} and {balance}",
        f"{tmp_path}/q: 2 pairs, 0 target tokens; skipped 1 below 2 tokens and 1 that stood before",
        "12 pairs, 9 target tokens; skipped 1 with an empty side and 3 below 2 tokens and 1 beyond"
        " 6 tokens and 1 with a side more than 2 times the other and 2 that stood before",
    ]
    assert survey(corpora[1]).describe() == ["2 pairs, 3 target tokens"]
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["duplicates"] == 2
    assert [one["kept"] for one in plain["corpora"]] == [4, 0]


def test_duplicates_are_exact(tmp_path):
    r = random.Random(3)
    rows = [(f"{r.randint(0, 60)}", f"{r.randint(0, 60)}") for _ in range(5000)]
    rows += [("a b", "c"), ("a", "b c"), ("1", "1 2"), ("1 1", "2")]
    corpora = [corpus(tmp_path / "p", rows[:3000]), corpus(tmp_path / "q", rows[3000:])]
    repeated = np.concatenate(list(duplicates.find_duplicates(corpora)))
    seen = set()
    for row, again in zip(rows, repeated.tolist(), strict=True):
        assert again == (row in seen)
        seen.add(row)


def test_weights_multiply_the_sample_weights(tmp_path):
    rows = [(f"{n}", f"{n} a", n / 4) for n in range(30)]
    only = corpus(tmp_path / "p", rows)
    assert sorted(texts_of(batches(only))) == sorted(rows)
    (x, y, weights), *_ = batches(only)
    real = y.numpy() != 0
    assert (weights.numpy()[real] == np.repeat(x["source"]["ids"].numpy()[:, 0] - 12, 3) / 4).all()
    assert not weights.numpy()[~real].any()
    pieces = WORDS.pieces(tf.constant(["a", "b"])), WORDS.pieces(tf.constant(["c d", "e"]))
    _, _, made = data.make_example(*pieces, WORDS, WORDS, weights=tf.constant([0.5, 3.0]))
    assert made.numpy().tolist() == [[0.5, 0.5, 0.5], [3.0, 3.0, 0.0]]


def test_a_corpus_comes_as_often_as_its_weight_says(tmp_path):
    often = [(f"{n}", "a") for n in range(40)]
    seldom = [(f"{n}", "b") for n in range(40, 100)]
    corpora = [corpus(tmp_path / "p", often, weight=2), corpus(tmp_path / "q", seldom, weight=0.5)]
    found = survey(corpora)
    counts = [found.count_batches(28, epoch) for epoch in range(4)]
    stream = batches(corpora, training=True, statistics=found).take(sum(counts))
    made = list(texts_of(stream))
    assert len(made) == 4 * (2 * 40 + 30)
    assert Counter(made) == Counter(
        [(*r, 1.0) for r in often * 8] + [(*r, 1.0) for r in seldom * 2]
    )
    rest = batches(corpora, training=True, statistics=found, start=counts[0] + counts[1])
    half = list(texts_of(rest.take(counts[2] + counts[3])))
    assert half == made[-len(half) :]
    # a pass in order knows no weight
    assert len(list(texts_of(batches(corpora)))) == 100


def test_zipped_and_plain_corpora_mix_and_go_on_from_any_batch(tmp_path):
    r = random.Random(4)
    content = "".join(f"{r.randint(0, 99)}\t{r.choice('abc')}\n" for _ in range(600)).encode()
    (tmp_path / "p.gz").write_bytes(gzip.compress(content))
    corpora = [Corpus(pairs=str(tmp_path / "p.gz"), weight=1.5), corpus(tmp_path / "q", ROWS * 36)]
    found = survey(corpora)
    options = {"training": True, "surveyed": found, "batch_tokens": 400}
    whole = list(texts_of(batches(corpora, **options).take(60)))
    rest = list(texts_of(batches(corpora, **options, start=40).take(20)))
    assert rest == whole[-len(rest) :]
    assert {target in "abc" for _, target, _ in rest[:500]} == {True, False}


def test_the_lines_of_any_batch_can_be_named(tmp_path):
    rows = [[(f"{n}", f"{side}") for n in range(100)] for side in "ab"]
    corpora = [corpus(tmp_path / side, of) for side, of in zip("pq", rows, strict=True)]
    found = survey(corpora)
    options = {"batch_tokens": 28, "seed": 4}
    made = list(batches(corpora, training=True, statistics=found, **options).take(90))
    assert found.count_batches(28) < 80
    for number in (0, 7, 60, 89):
        named = data.find_lines(corpora, found, number, **options)
        made_of = sorted((side, int(text)) for text, side, _ in texts_of([made[number]]))
        sides = {f"{tmp_path}/p": "a", f"{tmp_path}/q": "b"}
        assert [(sides[file], n - 1) for file in named for n in named[file]] == made_of


def test_a_file_that_changed_since_it_was_counted_is_named(tmp_path):
    only = corpus(tmp_path / "p", ROWS)
    found = survey(only)
    (tmp_path / "p").write_text("a\tb\n")
    with pytest.raises(UserError, match="/p: expected the file that was counted, came a changed"):
        batches(only, statistics=found)


def test_bad_input_of_a_later_corpus_is_named(tmp_path):
    good, bad = corpus(tmp_path / "p", ROWS), corpus(tmp_path / "q", [("a", "b"), ("a", "b", -1)])
    for unique in (False, True):
        with pytest.raises(UserError, match=r"/q:2: third column: expected a weight of at least 0"):
            survey([good, bad], unique=unique)
    with pytest.raises(UserError, match="/none: expected a text file, came: No such file"):
        survey([good, Corpus(pairs=f"{tmp_path}/none")])
    with pytest.raises(UserError, match=r"/r: expected at least one pair, came an empty corpus"):
        survey([good, corpus(tmp_path / "r", [])])


def test_no_cache_with_sampling(tmp_path):
    sampling = Whitespace(["a"])
    sampling.sampling = SubwordSampling(alpha=0.1)
    with pytest.raises(
        ValueError, match="cache: expected none for a tokenizer with sampling, came"
    ):
        data.scan_corpora(
            corpus(tmp_path / "p", ROWS), sampling, WORDS, 6, cache=f"{tmp_path}/cache"
        )
