"""What a family learns and others do not: copies of unseen words, sorting, given alignments."""

import io
import random

import numpy as np
import pytest

from keras_s2s.config import Config
from keras_s2s.training import train
from keras_s2s.translator import Translator

pytestmark = pytest.mark.slow

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OPTIONS = {"schedule": "constant", "warmup": 20, "label_smoothing": 0.0, "validate_every": 2000}


def write(folder, pairs, **columns):
    corpus = {}
    for side, lines in (("source", [s for s, _ in pairs]), ("target", [t for _, t in pairs]),
                        *columns.items()):  # fmt: skip
        (folder / side).write_text("".join(f"{line}\n" for line in lines))
        corpus[side] = str(folder / side)
    return corpus


def learned(folder, corpus, model, size=None, **training):
    """A run's translator, which is greedy: a beam settles for `beam_size` ends however bad."""
    tokenizer = {"kind": "whitespace", "size": size}
    data = {"train": corpus, "batch_tokens": 600, "max_length": 30, "tokenizer": tokenizer}
    config = {"data": data, "model": model, "training": {**OPTIONS, **training},
              "decoding": {"beam_size": 1, "max_length": 30}}  # fmt: skip
    train(Config.from_dict(config), folder / "run", stream=io.StringIO())
    return Translator.load(folder / "run")


def exact(translator, pairs):
    """The share of sources whose translation is the target."""
    came = translator.translate([source for source, _ in pairs])
    return np.mean([a == b for a, (_, b) in zip(came, pairs, strict=True)])


def sorting(count, seed):
    draw = random.Random(seed)
    rows = [draw.sample(LETTERS[:15], draw.randint(3, 7)) for _ in range(count)]
    return [(" ".join(row), " ".join(sorted(row))) for row in rows]


def test_a_pointer_network_sorts(tmp_path):
    model = {"preset": "pointer_network", "embedding": 48,
             "encoder": {"units": 64}, "decoder": {"units": 64}}  # fmt: skip
    corpus = write(tmp_path, sorting(6000, 1))
    translator = learned(tmp_path, corpus, model, updates=900, learning_rate=0.005)
    assert exact(translator, sorting(100, 2)) > 0.9


def renamed(count, seed):
    """A greeting of two names in the other order; each name is new."""
    draw = random.Random(seed)
    names = ["".join(draw.choices(LETTERS, k=6)) for _ in range(2 * count)]
    rows = zip(names[::2], names[1::2], strict=True)
    return [(f"from {a} to {b}", f"{b} hears of {a}") for a, b in rows]


@pytest.mark.parametrize(("preset", "lowest", "highest"), [("pointer_generator", 0.95, 1.0),
                                                           ("lstm", 0.0, 0.0)])  # fmt: skip
def test_a_pointer_generator_copies_words_it_never_saw(tmp_path, preset, lowest, highest):
    model = {"preset": preset, "embedding": 24, "dropout": 0.0,
             "encoder": {"units": 32}, "decoder": {"units": 32}}  # fmt: skip
    corpus = write(tmp_path, renamed(3000, 1))
    # the vocabulary has room for the words of the frame and a name or two
    options = {"updates": 300, "learning_rate": 0.01, "objectives": {"coverage": 1.0}}
    translator = learned(tmp_path, corpus, model, size=10, **options)
    assert lowest <= exact(translator, renamed(100, 2)) <= highest


def shouted(count, seed):
    """Letters in capitals, the second half first; and which letter became which."""
    draw, pairs, links = random.Random(seed), [], []
    for _ in range(count):
        row = draw.choices(LETTERS[:12], k=draw.randint(4, 10))
        order = [*range(len(row) // 2, len(row)), *range(len(row) // 2)]
        pairs.append((" ".join(row), " ".join(row[place].upper() for place in order)))
        links.append(" ".join(f"{s}-{t}" for t, s in enumerate(order)))
    return pairs, links


def test_attention_learns_the_alignment_it_is_given(tmp_path):
    pairs, links = shouted(3000, 1)
    model = {"preset": "gru_small", "embedding": 24, "dropout": 0.0,
             "encoder": {"units": 32}, "decoder": {"units": 32}}  # fmt: skip
    corpus, shares = write(tmp_path, pairs, alignments=links), []
    pairs, links = shouted(100, 2)
    for weight in (0.0, 1.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        objectives = {"guided_alignment": weight}
        translator = learned(folder, corpus, model, updates=400, learning_rate=0.01,
                             objectives=objectives)  # fmt: skip
        sources, targets = zip(*pairs, strict=True)
        maps = translator.attention(list(sources), list(targets))
        shares.append(np.mean([
            found.attention[0][int(t)][int(s)] for found, line in zip(maps, links, strict=True)
            for s, t in (link.split("-") for link in line.split())
        ]))  # fmt: skip
    assert shares[1] > 0.9
    assert shares[0] < shares[1] - 0.1
