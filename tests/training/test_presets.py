"""Every preset of the catalogue, tiny: trained for some updates by the command line."""

import json

import numpy as np
import pytest

from keras_s2s import cli
from keras_s2s.models import PRESETS
from tests.export.tiny_models import shrink_preset

pytestmark = pytest.mark.slow

# What gives vectors is trained in test_frames.py.
OF_TOKENS = [name for name, preset in PRESETS.items() if preset["head"]["kind"] != "regression"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Letters and the same in order, so that a pointer network can point at them."""
    random, folder = np.random.default_rng(1), tmp_path_factory.mktemp("letters")
    rows = ["".join(random.choice(list("abcdefg"), 5, False)) for _ in range(60)]
    paths = {}
    for side, lines in (("source", rows), ("target", ["".join(sorted(row)) for row in rows])):
        paths[side] = str(folder / side)
        (folder / side).write_text("".join(f"{' '.join(line)}\n" for line in lines))
    return paths


@pytest.mark.parametrize("preset", OF_TOKENS)
def test_a_preset_is_trained(preset, corpus, tmp_path, capsys):
    model = shrink_preset(preset)
    parts = {part: getattr(model, part) for part in ("encoder", "decoder", "head")}
    data = {
        "train": corpus,
        "valid": corpus,
        "batch_tokens": 120,
        "max_length": 10,
        "tokenizer": {"kind": "whitespace", "size": None},
    }
    training = {
        "updates": 12,
        "validate_every": 6,
        "label_smoothing": 0.0,
        "learning_rate": 0.01,
        "warmup": 1,
        "schedule": "constant",
    }
    config = {
        "data": data,
        "training": training,
        "export": {"when": "never"},
        "decoding": {"beam_size": 1, "max_length": 8},
        "model": {"preset": preset, "embedding": model.embedding, **parts},
    }
    path, run = tmp_path / "config.yml", tmp_path / "run"
    path.write_text(json.dumps(config))  # which is YAML too
    assert cli.main(["train", str(path), "--run-dir", str(run), "--json"]) == 0
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").open()]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert cli.main(["translate", str(run), "--input", corpus["source"]]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 60
