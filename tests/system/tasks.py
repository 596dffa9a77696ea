"""Corpora, runs and exact-match accuracy of the toy tasks."""

import io

import numpy as np

from keras_s2s.config import Config
from keras_s2s.training import train
from keras_s2s.translator import Translator

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OPTIONS = {"schedule": "constant", "warmup": 20, "label_smoothing": 0.0, "validate_every": 2000}


def write(folder, pairs, **columns):
    """Writes the files of a corpus; returns their paths by content."""
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
    """The greedy translator of a run: a beam may end early with `beam_size` bad hypotheses."""
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
    translations = translator.translate([source for source, _ in pairs])
    return np.mean([a == b for a, (_, b) in zip(translations, pairs, strict=True)])
