"""Tasks that need a part: copies of unseen words, sorting, given alignments."""

import random

import numpy as np
import pytest

from tests.system.tasks import LETTERS, exact, learned, write

pytestmark = pytest.mark.slow


def sorting(count, seed):
    draw = random.Random(seed)
    rows = [draw.sample(LETTERS[:15], draw.randint(3, 7)) for _ in range(count)]
    return [(" ".join(row), " ".join(sorted(row))) for row in rows]


def test_a_pointer_network_sorts(tmp_path):
    model = {
        "preset": "pointer_network",
        "embedding": 48,
        "encoder": {"units": 64},
        "decoder": {"units": 64},
    }
    corpus = write(tmp_path, sorting(6000, 1))
    translator = learned(tmp_path, corpus, model, updates=900, learning_rate=0.005)
    assert exact(translator, sorting(100, 2)) > 0.9


def renamed(count, seed):
    """A greeting of two names in the other order; each name is new."""
    draw = random.Random(seed)
    names = ["".join(draw.choices(LETTERS, k=6)) for _ in range(2 * count)]
    rows = zip(names[::2], names[1::2], strict=True)
    return [(f"from {a} to {b}", f"{b} hears of {a}") for a, b in rows]


@pytest.mark.parametrize(
    ("preset", "lowest", "highest"), [("pointer_generator", 0.95, 1.0), ("lstm", 0.0, 0.0)]
)
def test_a_pointer_generator_copies_words_it_never_saw(tmp_path, preset, lowest, highest):
    model = {
        "preset": preset,
        "embedding": 24,
        "dropout": 0.0,
        "encoder": {"units": 32},
        "decoder": {"units": 32},
    }
    corpus = write(tmp_path, renamed(3000, 1))
    # The vocabulary holds the fixed words and one or two names.
    options = {"updates": 300, "learning_rate": 0.01, "objectives": {"coverage": 1.0}}
    translator = learned(tmp_path, corpus, model, size=10, **options)
    assert lowest <= exact(translator, renamed(100, 2)) <= highest


def shouted(count, seed):
    """Letters in capitals, the second half first; and the alignment of the letters."""
    draw, pairs, links = random.Random(seed), [], []
    for _ in range(count):
        row = draw.choices(LETTERS[:12], k=draw.randint(4, 10))
        order = [*range(len(row) // 2, len(row)), *range(len(row) // 2)]
        pairs.append((" ".join(row), " ".join(row[place].upper() for place in order)))
        links.append(" ".join(f"{s}-{t}" for t, s in enumerate(order)))
    return pairs, links


def test_attention_learns_the_alignment_it_is_given(tmp_path):
    pairs, links = shouted(3000, 1)
    model = {
        "preset": "gru_small",
        "embedding": 24,
        "dropout": 0.0,
        "encoder": {"units": 32},
        "decoder": {"units": 32},
    }
    corpus, shares = write(tmp_path, pairs, alignments=links), []
    pairs, links = shouted(100, 2)
    for weight in (0.0, 1.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        objectives = {"guided_alignment": weight}
        translator = learned(
            folder, corpus, model, updates=400, learning_rate=0.01, objectives=objectives
        )
        sources, targets = zip(*pairs, strict=True)
        maps = translator.attention(list(sources), list(targets))
        shares.append(
            np.mean(
                [
                    found.attention[0][int(t)][int(s)]
                    for found, line in zip(maps, links, strict=True)
                    for s, t in (link.split("-") for link in line.split())
                ]
            )
        )
    assert shares[1] > 0.9
    assert shares[0] < shares[1] - 0.1
