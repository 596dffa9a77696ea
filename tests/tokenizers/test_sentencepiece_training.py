"""Learning a SentencePiece model from more text than fits into memory."""

import random

from keras_s2s.tokenizers import sentencepiece_training


def test_little_text_is_learned_from_whole():
    lines = [f"line {n}" for n in range(100)]
    assert sentencepiece_training._thinned(iter(lines), 1000) == lines


def test_of_much_text_a_random_part_in_order_is_kept():
    numbers = range(100_000)
    kept = [
        int(line) for line in sentencepiece_training._thinned((f"{n:05}" for n in numbers), 20_000)
    ]
    assert kept == sorted(set(kept))
    assert 2000 <= len(kept) <= 4000  # of 5 characters each
    quarters = [sum(n // 25_000 == quarter for n in kept) for quarter in range(4)]
    assert min(quarters) > 0.8 * len(kept) / 4
    assert sentencepiece_training._thinned((f"{n:05}" for n in numbers), 20_000) == [
        f"{n:05}" for n in kept
    ]


def test_a_line_longer_than_all_that_is_kept_goes():
    assert sentencepiece_training._thinned(["a" * 100, "b"], 10) in (["b"], [])
    assert sum(map(len, sentencepiece_training._thinned(["a" * 6] * 50, 10))) <= 10


def test_a_thinned_corpus_gives_one_model(monkeypatch):
    r = random.Random(1)
    lines = [" ".join(r.choices(["one", "two", "three", "four"], k=8)) for _ in range(400)]
    monkeypatch.setattr(sentencepiece_training, "_MOST_TEXT", 2000)
    made = sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
    assert made == sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
    monkeypatch.setattr(sentencepiece_training, "_MOST_TEXT", 10**9)
    assert made != sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
