"""What a kind of attention learns and others do not: far reversals, a walk from left to right."""

import random

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.data import make_example
from tests.system.tasks import LETTERS, exact, learned, write

pytestmark = pytest.mark.slow


def small(attention, units=48):
    side = {"units": units}
    return {
        "preset": "gru_small",
        "embedding": 32,
        "dropout": 0.0,
        "encoder": side,
        "decoder": {**side, "attention": attention},
    }


def reversals(count, seed):
    draw = random.Random(seed)
    rows = [draw.choices(LETTERS[:10], k=draw.randint(12, 18)) for _ in range(count)]
    return [(" ".join(row), " ".join(row[::-1])) for row in rows]


@pytest.mark.parametrize(
    ("attention", "lowest", "highest"),
    [
        ("additive", 0.95, 1.0),
        ("none", 0.0, 0.3),
        ({"kind": "local", "window": 3}, 0.8, 1.0),  # it learns where the window has to be
        ({"kind": "local", "window": 3, "predictive": False}, 0.0, 0.3),
    ],
)
def test_far_reversals_need_attention(tmp_path, attention, lowest, highest):
    corpus = write(tmp_path, reversals(6000, 1))
    translator = learned(tmp_path, corpus, small(attention), updates=1000, learning_rate=0.005)
    assert lowest <= exact(translator, reversals(100, 2)) <= highest


def doubled(count, seed, shortest, longest):
    """Letters, and each of them twice in capitals."""
    draw = random.Random(seed)
    rows = [draw.choices(LETTERS[:8], k=draw.randint(shortest, longest)) for _ in range(count)]
    return [
        (" ".join(row), " ".join(letter.upper() for letter in row for _ in range(2)))
        for row in rows
    ]


def soft(translator, pairs):
    """The weights of training, without noise: [B, T, S]."""
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    pieces = [one.tokenize(tf.constant(texts)) for one, texts in zip(tokenizers, zip(*pairs))]
    x, _, _ = make_example(*pieces, *tokenizers)
    translator.model.decoder.attention.noise = 0.0
    maps = translator.model(x, maps="alignment", training=True)["attention"]["cross"]
    return maps[:, 0].numpy()


def test_hard_walks_are_what_soft_training_learned(tmp_path):
    corpus, pairs = write(tmp_path, doubled(4000, 1, 3, 7)), doubled(100, 2, 3, 7)
    monotonic = learned(tmp_path, corpus, small("monotonic"), updates=1200, learning_rate=0.005)
    assert exact(monotonic, pairs) > 0.8
    # Beyond the lengths of training the walk goes on; so it does with additive attention.
    assert exact(monotonic, doubled(100, 3, 9, 12)) > 0.2
    maps = monotonic.attention(*map(list, zip(*pairs, strict=True)))
    places = []
    for hard, learnt in zip(maps, soft(monotonic, pairs), strict=True):
        count = len(hard.tokens) - 1  # without the end
        weights = hard.attention[0][:count]
        assert set(np.unique(weights)) <= {0.0, 1.0}
        walk = weights.argmax(1)
        assert (np.diff(walk) >= 0).all()
        places += zip(walk, learnt[:count].argmax(1), strict=True)
    hard, learnt = np.array(places).T
    assert (hard == learnt).mean() > 0.9


def capitals(count, seed):
    """Letters, none twice in a row, and the same in capitals."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        row = [draw.choice(LETTERS[:6])]
        for _ in range(draw.randint(4, 9)):
            row.append(draw.choice([x for x in LETTERS[:6] if x != row[-1]]))
        rows.append((" ".join(row), " ".join(row).upper()))
    return rows


@pytest.mark.parametrize(
    ("attention", "lowest", "highest"), [("monotonic", 0.95, 1.0), ("additive", 0.0, 0.3)]
)
def test_a_walk_needs_no_positions(tmp_path, attention, lowest, highest):
    """Over vectors that say nothing of their places, only a walk knows which letter is next."""
    corpus = write(tmp_path, capitals(4000, 1))
    model = {
        "preset": "gru_small",
        "embedding": 32,
        "dropout": 0.0,
        "encoder": {"kind": "mean", "units": 32},
        "decoder": {"units": 48, "attention": attention},
    }
    translator = learned(tmp_path, corpus, model, updates=2000, learning_rate=0.005)
    assert lowest <= exact(translator, capitals(100, 2)) <= highest


def listed(count, seed):
    """Names that are new each time, and the same names."""
    draw = random.Random(seed)
    rows = [
        ["".join(draw.choices(LETTERS, k=6)) for _ in range(draw.randint(8, 12))]
        for _ in range(count)
    ]
    return [(" ".join(row), " ".join(row)) for row in rows]


def test_coverage_keeps_a_pointer_from_repeating(tmp_path):
    corpus, shares = write(tmp_path, listed(3000, 1)), []
    model = {
        "preset": "pointer_generator",
        "embedding": 24,
        "dropout": 0.0,
        "encoder": {"units": 32},
        "decoder": {"units": 32},
    }
    for weight in (0.0, 1.0):  # stopped early: in the end neither repeats
        folder = tmp_path / str(weight)
        folder.mkdir()
        options = {"updates": 80, "learning_rate": 0.005, "seed": 2}
        translator = learned(
            folder, corpus, model, size=10, objectives={"coverage": weight}, **options
        )
        came = [text.split() for text in translator.translate([s for s, _ in listed(100, 2)])]
        shares.append(1 - sum(len(set(words)) for words in came) / sum(map(len, came)))
    assert shares[0] > 0.1  # of words that are there already
    assert shares[1] < shares[0] / 2
