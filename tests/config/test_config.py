"""The configuration: round trips, overrides, and every mistake named with its place."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s import config
from keras_s2s.config import Config, Corpus
from keras_s2s.errors import UserError

GOOD = """\
data:
  train: {source: train.en, target: train.de}
  valid: {pairs: valid.tsv.gz}
  tokenizer: {kind: sentencepiece, size: 500, shared: true}
model: {preset: transformer_tiny, dropout: 0.3}
training:
  learning_rate: 5e-3
  updates: 800
"""


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(GOOD)
    return path


def written(tmp_path, text):
    path = tmp_path / "config.yml"
    path.write_text(text)
    return path


def message(path, *overrides):
    with pytest.raises(UserError) as caught:
        Config.load(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_reads_what_is_written_and_leaves_the_rest_at_its_default(good):
    came = Config.load(good)
    assert came.data.train == Corpus("train.en", "train.de")
    assert came.data.valid.pairs == "valid.tsv.gz"
    assert came.data.tokenizer.shared is True
    assert came.training.learning_rate == 0.005  # YAML 1.1 would read 5e-3 as text
    assert came.training.clip_norm == config.Training().clip_norm == 1.0
    assert came.decoding == config.Decoding(beam_size=5, length_penalty=0.6, max_length=256)


def test_defaults_of_search_stay_within_what_a_request_may_ask(good):
    assert "beam_size: expected at most export.max_beam_size, 16, came 17" in message(
        good, "decoding.beam_size=17"
    )
    wanted = "max_length: expected at most export.max_length, 256, came 257"
    assert wanted in message(good, "decoding.max_length=257")
    longer = ["decoding.max_length=512", "export.max_length=512"]
    assert Config.load(good, longer).export.caps()["max_length"] == 512
    assert "beam_groups: expected a divisor of beam_size, 5, came 2" in message(
        good, "decoding.beam_groups=2"
    )
    assert "disallowed: expected a list of texts without line feeds, came 3" in message(
        good, "decoding.disallowed=[a, 3]"
    )
    assert "of at least -10.0 and at most 10.0, came 11" in message(
        good, "decoding.length_penalty=11"
    )


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: '.*config.yml'"):
        Config().save(tmp_path / "config.yml")
    assert list(tmp_path.iterdir()) == []


def test_round_trips(good, tmp_path):
    came = Config.load(good, ["model.encoder.units=32", "data.valid={source: ä, target: b}"])
    came.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == came
    assert Config.from_dict(came.to_dict()) == came


LIST = """\
data:
  train:
    - {source: a, target: b, weight: 2}
    - pairs: c.jsonl
      weight: 0.5
"""


def test_train_is_one_corpus_or_a_list(tmp_path):
    came = Config.load(written(tmp_path, LIST), ["data.train.1.weight=0.25", "data.unique=true"])
    assert came.data.train == [Corpus("a", "b", weight=2.0), Corpus(pairs="c.jsonl", weight=0.25)]
    assert came.data.filters() == {"min_length": 1, "max_ratio": None, "unique": True}
    came.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == came


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        (
            "weight: 0.5",
            "weigth: 1",
            5,
            "unknown key data.train.1.weigth; the nearest is data.train.1.we",
        ),
        ("weight: 0.5", "weight: 0", 5, "data.train.1.weight: expected a number of at least 0.001"),
        ("pairs: c.jsonl", "source: c", 4, "data.train.1: expected source and target, or pairs a"),
        (
            "pairs: c.jsonl",
            "weights: w\n      pairs: c",
            4,
            "data.train.1.weights: expected source",
        ),
    ],
)
def test_a_mistake_in_a_list_has_its_place(tmp_path, old, new, line, expected):
    path = written(tmp_path, LIST.replace(old, new))
    assert message(path).startswith(f"{path}:{line}: {expected}")


def test_to_dict_is_complete():
    flat = Config().to_dict()
    assert set(flat) == {"data", "model", "training", "decoding", "export"}
    assert flat["training"]["label_smoothing"] == 0.1
    assert flat["model"]["encoder"] == {}


def test_overrides_are_yaml_values_and_make_their_sections(good):
    came = Config.load(
        good,
        [
            "training.updates=1e4",
            "training.scores=[wer, per]",
            "training.clip_norm=null",
            "model.encoder={kind: gru, units: 64}",
            "model.encoder.layers=2",
            "data.source_tokenizer={kind: characters, size: null}",
            "data.tokenizer=null",
        ],
    )
    assert came.training.updates == 10000
    assert came.training.scores == ["wer", "per"]
    assert came.training.clip_norm is None
    assert came.model.encoder == {"kind": "gru", "units": 64, "layers": 2}
    source, target = came.data.tokenizers()
    assert (source.kind, source.size, target.kind) == ("characters", None, "sentencepiece")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("training.updats=1", "unknown key training.updats; the nearest is training.updates"),
        (
            "training.beam_size=1",
            "unknown key training.beam_size; the nearest is decoding.beam_siz",
        ),
        ("trainin.updates=1", "unknown key trainin; the nearest is training"),
        ("data.train.pair=x", "unknown key data.train.pair; the nearest is data.train.pairs"),
        ("export.zzz=1", "unknown key export.zzz; expected one of when, keep"),
        ("training.updates=0", "training.updates: expected an integer of at least 1, came 0"),
        ("training.updates=many", "training.updates: expected an integer of at least 1, came 'm"),
        ("training.updates=true", "training.updates: expected an integer of at least 1, came Tr"),
        ("training.label_smoothing=1", "expected a number of at least 0.0 and below 1.0, came 1"),
        ("training.learning_rate=0", "expected a number above 0.0 or null, came 0"),
        ("training.clip_norm=.inf", "training.clip_norm: expected a number of at least 0.0 or "),
        ("training.policy=bf16", "expected one of float32, mixed_bfloat16, mixed_float16 or null"),
        ("training.scores=[bleu, x]", "expected a list of bleu, chrf, ter, rouge1, rouge2, "),
        ("decoding.num_hypotheses=6", "num_hypotheses: expected at most beam_size, 5, came 6"),
        ("data.tokenizer.size=null", "expected an integer of at least 5 for sentencepiece"),
        ("data=3", "data: expected a mapping of train, valid, tokenizer, "),
        ("data.train={source: a}", "expected source and target, or pairs alone, came {'source'"),
        ("data.train=[]", "data.train: expected Corpus or a list of at least one Corpus or null"),
        ("data.valid=[{pairs: a}]", "data.valid: expected a mapping of source, target, pairs"),
        ("data.train=[3]", "data.train.0: expected a mapping of source, target, pairs"),
        ("data.max_ratio=0.5", "data.max_ratio: expected a number of at least 1.0 or null"),
        ("data.min_length=101", "data.min_length: expected at most max_length, 100, came 101"),
        ("training=[", "expected YAML, came: "),
        ("training", "expected section.key=value"),
        ("a..b=1", "expected section.key=value"),
    ],
)
def test_a_bad_override_is_named(good, key, expected):
    came = message(good, key)
    assert came.startswith(f"override {key!r}: ")
    assert expected in came


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("  updates: 800", "  updates: 800\n  patiense: 3", 9, "the nearest is training.patience"),
        ("  updates: 800", "  updates: -1", 8, "training.updates: expected an integer of at le"),
        ("  updates: 800", "  learning_rate: 1", 8, "key training.learning_rate stands twice, f"),
        ("{pairs: valid.tsv.gz}", "{}", 3, "data.valid: expected source and target, or pairs a"),
        ("{preset: transformer_tiny, dropout: 0.3}", "[1, 2", 6, "expected YAML, came: "),
    ],
)
def test_a_mistake_in_the_file_has_its_line(tmp_path, old, new, line, expected):
    path = written(tmp_path, GOOD.replace(old, new))
    came = message(path)
    assert came.startswith(f"{path}:{line}: ")
    assert expected in came


def test_a_file_that_is_no_configuration(tmp_path):
    missing = tmp_path / "none.yml"
    assert (
        message(missing)
        == f"{missing}: expected a configuration file, came: No such file or directory"
    )
    listed = written(tmp_path, "- 1\n")
    assert message(listed).startswith(f"{listed}: expected a mapping of data, model")
    (tmp_path / "config.yml").write_bytes(b"data: \xff\n")
    broken = tmp_path / "config.yml"
    assert message(broken) == f"{broken}:1: expected UTF-8, came byte 0xff"


def test_an_empty_file_and_an_empty_section_mean_the_defaults(tmp_path):
    assert Config.load(written(tmp_path, "")) == Config()
    assert Config.load(written(tmp_path, "training:\n  # updates: 3\n")) == Config()


def test_constructors_check_too():
    with pytest.raises(UserError, match=r"Training.updates: expected an integer .*, came 'x'"):
        config.Training(updates="x")
    with pytest.raises(
        UserError, match="Corpus: expected source and target, or pairs alone, came n"
    ):
        Corpus()
    with pytest.raises(UserError, match="Config.data: expected Data, came 3"):
        Config(data=3)
    assert type(config.Training(learning_rate=1).learning_rate) is float


def test_one_tokenizer_for_both_sides_or_one_each():
    shared = config.TokenizerConfig(shared=True)
    with pytest.raises(UserError, match="expected tokenizer alone where shared is true, came both"):
        config.Data(tokenizer=shared, target_tokenizer=config.TokenizerConfig())
    assert config.Data(tokenizer=shared).tokenizers() == (shared, shared)


def test_an_override_of_a_list_needs_a_place_in_it(tmp_path):
    path = written(tmp_path, LIST)
    for key in ("data.train.2.weight=1", "data.train.one.weight=1", "data.train.-1=1"):
        assert "expected a number from 0 to 1, came " in message(path, key)


def test_a_cache_and_sampling_exclude_each_other():
    drawn = config.TokenizerConfig(sampling=config.SubwordSampling(alpha=0.1))
    assert config.Data(target_tokenizer=drawn).tokenizers()[1].sampling.alpha == 0.1
    with pytest.raises(UserError, match="Data.cache: expected none beside sampling"):
        config.Data(target_tokenizer=drawn, cache="x")


def test_sampling_goes_through_the_file(tmp_path):
    text = "data:\n  tokenizer: {sampling: {alpha: 0.2, nbest: 64}, special_tokens: [<2de>]}\n"
    read = Config.load(written(tmp_path, text))
    assert read.data.tokenizer.sampling == config.SubwordSampling(alpha=0.2, nbest=64)
    read.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == read
    came = message(written(tmp_path, "data:\n  tokenizer:\n    sampling: {alpah: 1}\n"))
    assert came.endswith(
        "config.yml:3: unknown key data.tokenizer.sampling.alpah; the nearest is "
        "data.tokenizer.sampling.alpha"
    )


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "config.yml"
    Config().save(path)
    before = path.read_text()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Config.from_dict({"training": {"seed": 7}}).save(path)
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["config.yml"]


def test_needs_no_tensorflow():
    code = "import sys, keras_s2s.config; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
