"""A toy task that is learned in seconds: strings of digits and their reversals."""

import json
import random

from keras_s2s.config import Config

UPDATES = 240


def write_pairs(path, count, seed):
    """Strings of digits and their reversals."""
    digits = random.Random(seed)
    rows = ["".join(digits.choices("0123456789", k=digits.randint(2, 5))) for _ in range(count)]
    path.write_text("".join(f"{row}\t{row[::-1]}\n" for row in rows))
    return str(path)


def configuration(corpora, **training):
    model = {
        "preset": "gru_small",
        "dropout": 0.0,
        "embedding": 32,
        "encoder": {"units": 48},
        "decoder": {"units": 48},
    }
    options = {
        "updates": UPDATES,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup": 20,
        "label_smoothing": 0.0,
        "validate_every": 120,
    }
    data = {
        **corpora,
        "tokenizer": {"kind": "characters", "size": None, "shared": True},
        "batch_tokens": 400,
        "max_length": 10,
    }
    return Config.from_dict({"data": data, "model": model, "training": {**options, **training}})


def changed(config, **sections):
    """The configuration with some `section__key=value` changed."""
    raw = config.to_dict()
    for dotted, value in sections.items():
        section, key = dotted.split("__")
        raw[section][key] = value
    return Config.from_dict(raw)


def read_metrics(run):
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def small_config(corpora, **training):
    """A configuration of fast updates, with every source of randomness."""
    options = {"updates": 11, "validate_every": 4, "checkpoint_every": 3, "validate_lines": 0}
    return changed(
        configuration(corpora, **{**options, **training}),
        model__embedding=8,
        model__dropout=0.3,
        data__batch_tokens=60,
        model__encoder={"units": 8},
        model__decoder={"units": 8},
    )
