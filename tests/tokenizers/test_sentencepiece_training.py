"""Training of SentencePiece models on more text than fits into memory."""

import random

from keras_s2s.tokenizers import sentencepiece_training


def test_a_small_text_is_used_completely():
    lines = [f"line {n}" for n in range(100)]
    assert sentencepiece_training._subsample(iter(lines), 1000) == lines


def test_a_large_text_is_subsampled_in_order():
    numbers = range(100_000)
    kept = [
        int(line)
        for line in sentencepiece_training._subsample((f"{n:05}" for n in numbers), 20_000)
    ]
    assert kept == sorted(set(kept))
    assert 2000 <= len(kept) <= 4000  # of 5 characters each
    quarters = [sum(n // 25_000 == quarter for n in kept) for quarter in range(4)]
    assert min(quarters) > 0.8 * len(kept) / 4
    assert sentencepiece_training._subsample((f"{n:05}" for n in numbers), 20_000) == [
        f"{n:05}" for n in kept
    ]


def test_a_line_longer_than_the_limit_is_dropped():
    assert sentencepiece_training._subsample(["a" * 100, "b"], 10) in (["b"], [])
    assert sum(map(len, sentencepiece_training._subsample(["a" * 6] * 50, 10))) <= 10


def test_a_subsampled_text_gives_the_same_model_again(monkeypatch):
    r = random.Random(1)
    lines = [" ".join(r.choices(["one", "two", "three", "four"], k=8)) for _ in range(400)]
    monkeypatch.setattr(sentencepiece_training, "_MAX_CHARACTERS", 2000)
    model = sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
    assert model == sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
    monkeypatch.setattr(sentencepiece_training, "_MAX_CHARACTERS", 10**9)
    assert model != sentencepiece_training.train_sentencepiece("unigram", 30, iter(lines))
