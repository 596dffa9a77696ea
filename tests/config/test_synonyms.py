"""Names of other toolkits lead to the key or kind that has their meaning."""

import os
import subprocess
import sys

import pytest

from keras_s2s.config import Config
from keras_s2s.config.parsing import _all_keys
from keras_s2s.config.synonyms import KEY_SYNONYMS, KIND_SYNONYMS, nearest
from keras_s2s.errors import UserError

PRESETS = ("gru", "rnnsearch", "transformer_tiny", "transformer_small", "transformer_base")


def test_suggested_keys_exist():
    known = set(_all_keys(Config))
    keys = set(KEY_SYNONYMS.values())
    assert {key for key in keys if not key.startswith("model.encoder.")} <= known


def test_suggested_kinds_exist():
    from keras_s2s import models
    from keras_s2s.attention import ATTENTIONS

    kinds = {kind for kinds in models.KINDS.values() for kind in kinds}
    suggested = {kind for kinds in KIND_SYNONYMS.values() for kind in kinds}
    assert suggested <= {*models.PRESETS, *ATTENTIONS, *kinds}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("batch_size", "data.batch_tokens"),
        ("data.batch_size", "data.batch_tokens"),
        ("training.batch_size", "data.batch_tokens"),
        ("training.Batch-Size", "data.batch_tokens"),
        ("training.lr", "training.learning_rate"),
        ("training.epochs", "training.updates"),
        ("training.max_steps", "training.updates"),
        ("training.warmup_steps", "training.warmup"),
        ("data.vocab_size", "data.tokenizer.size"),
        ("training.max_length", "data.max_length"),
        ("training.beam_size", "decoding.beam_size"),
        ("model.num_layers", "model.encoder.num_layers"),
        ("training.fp16", "training.policy"),
        ("data.train.Source", "data.train.source"),
        ("training.updats", "training.updates"),
    ],
)
def test_unknown_keys_suggest_the_meaning(written, meant):
    raw = {"data": {"train": {"source": "a", "target": "b"}}}
    *path, key = written.split(".")
    section = raw
    for part in path:
        section = section.setdefault(part, {})
    section[key] = 1
    with pytest.raises(UserError, match=f"unknown key {written}; the nearest is {meant}$"):
        Config.from_dict(raw)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("transformer", "transformer_base"),
        ("Transformer-Base", "transformer_base"),
        ("transformer_smal", "transformer_small"),
        ("bahdanau", "rnnsearch"),
        ("rnn", "gru"),
        ("xyzzy", None),
    ],
)
def test_unknown_presets_suggest_the_meaning(written, meant):
    assert nearest(written, PRESETS) == meant


def test_help_is_printed_without_a_command(capsys):
    from keras_s2s.cli import main

    assert main([]) == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: keras-s2s") and "catalog" in output


@pytest.mark.parametrize("level", ["3", None])
def test_tensorflow_starts_silently_whatever_quiet_level_is_set(level):
    code = "from keras_s2s.cli.tensorflow_logging import import_tensorflow; import_tensorflow()"
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
    command = [sys.executable, "-c", code]
    completed = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (completed.returncode, completed.stderr) == (0, "")
