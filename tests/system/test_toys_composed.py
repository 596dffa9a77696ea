"""Tasks that need factors or two sources."""

import io
import random

import pytest

from keras_s2s.config import Config
from keras_s2s.training import train
from keras_s2s.translator import Translator
from tests.system.tasks import LETTERS, OPTIONS, exact, write

pytestmark = pytest.mark.slow

WORD = {"kind": "whitespace", "size": None}
SIDE = {
    "kind": "transformer",
    "units": 32,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_units": 64,
    "dropout": 0.0,
}


def cased(count, seed, separator="￨"):
    """Letters in capitals where their factor is U."""
    draw, pairs = random.Random(seed), []
    for _ in range(count):
        row = [(draw.choice(LETTERS[:8]), draw.choice("UL")) for _ in range(draw.randint(2, 6))]
        target = " ".join(a.upper() if case == "U" else a for a, case in row)
        pairs.append((" ".join(a + separator + case for a, case in row), target))
    return pairs


def joined(count, seed):
    """The second source, then the first."""
    draw, pairs = random.Random(seed), []
    for _ in range(count):
        one, two = (draw.sample(LETTERS[:8], draw.randint(1, 4)) for _ in range(2))
        pairs.append((f"{' '.join(one)}\t{' '.join(two)}", " ".join(two + one)))
    return pairs


def learned(folder, pairs, kind, encoder, updates=700):
    data = {
        "train": write(folder, pairs),
        "batch_tokens": 600,
        "target_tokenizer": WORD,
        "source_tokenizer": {"kind": kind, "parts": [WORD, WORD]},
    }
    config = {
        "data": data,
        "model": {"embedding": 32, "encoder": encoder, "decoder": SIDE},
        "training": {**OPTIONS, "updates": updates, "learning_rate": 0.003},
        "decoding": {"beam_size": 1, "max_length": 30},
    }
    train(Config.from_dict(config), folder / "run", stream=io.StringIO())
    return Translator.load(folder / "run")


def test_factors_tell_what_words_do_not(tmp_path):
    translator = learned(tmp_path, cased(4000, 1), "factors", SIDE)
    pairs = cased(100, 2)
    assert exact(translator, pairs) > 0.9
    # Without factors every case is a guess.
    assert exact(translator, [(s.replace("￨U", "").replace("￨L", ""), t) for s, t in pairs]) < 0.5


def test_two_sources_are_read_together(tmp_path):
    parallel = {"kind": "parallel", "encoders": [SIDE, SIDE]}
    translator = learned(tmp_path, joined(6000, 1), "sources", parallel, 1200)
    assert exact(translator, joined(100, 2)) > 0.9
