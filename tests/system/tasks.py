"""What the toys share: corpora of pairs of texts, runs of them, and the share they get right."""

import io

import numpy as np

from keras_s2s.config import Config
from keras_s2s.training import train
from keras_s2s.translator import Translator

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OPTIONS = {"schedule": "constant", "warmup": 20, "label_smoothing": 0.0, "validate_every": 2000}


def write(folder, pairs, **columns):
    """The files of a corpus, by what each holds."""
    corpus = {}
    for side, lines in (
        ("source", [s for s, _ in pairs]),
        ("target", [t for _, t in pairs]),
        *columns.items(),
    ):
        (folder / side).write_text("".join(f"{line}\n" for line in lines))
        corpus[side] = str(folder / side)
    return corpus


def learned(folder, corpus, model, size=None, **training):
    """A run's translator, which is greedy: a beam settles for `beam_size` ends however bad."""
    tokenizer = {"kind": "whitespace", "size": size}
    data = {"train": corpus, "batch_tokens": 600, "max_length": 30, "tokenizer": tokenizer}
    config = {
        "data": data,
        "model": model,
        "training": {**OPTIONS, **training},
        "decoding": {"beam_size": 1, "max_length": 30},
    }
    train(Config.from_dict(config), folder / "run", stream=io.StringIO())
    return Translator.load(folder / "run")


def exact(translator, pairs):
    """The share of sources whose translation is the target."""
    came = translator.translate([source for source, _ in pairs])
    return np.mean([a == b for a, (_, b) in zip(came, pairs, strict=True)])
