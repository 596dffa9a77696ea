"""Listen-Attend-Spell hears letters in noise: from a YAML file over `.npz` frames to an export."""

import json
import sys

import numpy as np
import pytest

from keras_s2s import cli
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.translator import Translator

pytestmark = pytest.mark.slow

LETTERS, NUMBERS = "abcdef", 5
CONFIG = """
data:
  train: {{source: {0}/train.npz, target: {0}/train.txt}}
  valid: {{source: {0}/valid.npz, target: {0}/valid.txt}}
  tokenizer: {{kind: whitespace, size: null}}
  batch_tokens: 1600
  max_length: 80
model:
  preset: listen_attend_spell
  embedding: 32
  encoder: {{units: 32}}
  decoder: {{units: 48}}
training:
  {{updates: 600, validate_every: 200, learning_rate: 0.005, schedule: constant, warmup: 50,
   label_smoothing: 0.0, metric: per, seed: 1}}
decoding: {{beam_size: 2, max_length: 12}}
"""


def sounds(folder, name, count, seed):
    """Letters of 8 to 12 noisy frames each: eight become a place of the listener's memory."""
    random = np.random.default_rng(seed)
    shapes = np.random.default_rng(0).normal(size=(len(LETTERS), NUMBERS))
    frames, texts = [], []
    for _ in range(count):
        word = random.integers(0, len(LETTERS), random.integers(2, 6))
        held = np.repeat(word, random.integers(8, 13, len(word)))
        noise = random.normal(0, 0.5, (len(held), NUMBERS))
        frames.append((shapes[held] + noise).astype("float32"))
        texts.append(" ".join(LETTERS[i] for i in word))
    np.savez(folder / f"{name}.npz", *frames)
    (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts))
    return frames


def test_listen_attend_spell_hears_letters(tmp_path, capsys):
    sounds(tmp_path, "train", 3000, 1)
    sounds(tmp_path, "valid", 60, 2)
    frames = sounds(tmp_path, "test", 100, 3)
    config, run = tmp_path / "las.yml", tmp_path / "run"
    config.write_text(CONFIG.format(tmp_path))
    assert cli.main(["train", str(config), "--run-dir", str(run)]) == 0
    capsys.readouterr()
    words = ["--source", str(tmp_path / "test.npz"), "--target", str(tmp_path / "test.txt")]
    assert cli.main(["evaluate", str(run), *words, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    sys.stderr.write(f"{scores}\n")
    assert scores["lines"] == 100
    assert scores["per"] < 5.0
    assert scores["wer"] < 15.0
    translator = Translator.load(run)
    assert translator.model.encoder.num_layers == 4
    found = translator.decode(frames[:20])
    assert cli.main(["export", str(run), str(tmp_path / "served")]) == 0
    with LocalModel(tmp_path / "served") as client:
        for one, two in zip(client.translate(frames[:20]), found, strict=True):
            assert one[0].tokens == two[0].tokens
            assert one[0].log_prob == pytest.approx(two[0].log_prob, abs=1e-4)
