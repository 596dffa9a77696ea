"""Configuration files: round trips, overrides, and errors that name file, line and key."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s import config
from keras_s2s.config import Config, Corpus
from keras_s2s.errors import UserError

VALID = """\
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
def valid_config(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(VALID)
    return path


def write_config(tmp_path, text):
    path = tmp_path / "config.yml"
    path.write_text(text)
    return path


def error_of(path, *overrides):
    with pytest.raises(UserError) as caught:
        Config.load(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_load_reads_the_file_and_fills_in_defaults(valid_config):
    loaded = Config.load(valid_config)
    assert loaded.data.train == Corpus("train.en", "train.de")
    assert loaded.data.valid.pairs == "valid.tsv.gz"
    assert loaded.data.tokenizer.shared is True
    assert loaded.training.learning_rate == 0.005  # YAML 1.1 would read 5e-3 as text
    assert loaded.training.clip_norm == config.Training().clip_norm == 1.0
    assert loaded.decoding == config.Decoding(beam_size=5, length_penalty=0.6, max_length=256)


def test_decoding_defaults_stay_within_the_caps_of_export(valid_config):
    assert "beam_size: expected at most export.max_beam_size, 16, got 17" in error_of(
        valid_config, "decoding.beam_size=17"
    )
    expected = "max_length: expected at most export.max_length, 256, got 257"
    assert expected in error_of(valid_config, "decoding.max_length=257")
    overrides = ["decoding.max_length=512", "export.max_length=512"]
    assert Config.load(valid_config, overrides).export.caps()["max_length"] == 512
    assert "beam_groups: expected a divisor of beam_size, 5, got 2" in error_of(
        valid_config, "decoding.beam_groups=2"
    )
    assert "disallowed: expected a list of texts without line feeds, got 3" in error_of(
        valid_config, "decoding.disallowed=[a, 3]"
    )
    assert "of at least -10.0 and at most 10.0, got 11" in error_of(
        valid_config, "decoding.length_penalty=11"
    )


def test_a_full_disk_is_reported_with_the_file_name(tmp_path, monkeypatch):
    def fail_with_enospc(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_with_enospc)
    with pytest.raises(OSError, match="No space left on device: '.*config.yml'"):
        Config().save(tmp_path / "config.yml")
    assert list(tmp_path.iterdir()) == []


def test_save_and_load_round_trip(valid_config, tmp_path):
    overrides = ["model.encoder.units=32", "data.valid={source: ä, target: b}"]
    loaded = Config.load(valid_config, overrides)
    loaded.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == loaded
    assert Config.from_dict(loaded.to_dict()) == loaded


LIST = """\
data:
  train:
    - {source: a, target: b, weight: 2}
    - pairs: c.jsonl
      weight: 0.5
"""


def test_train_accepts_one_corpus_or_a_list(tmp_path):
    overrides = ["data.train.1.weight=0.25", "data.unique=true"]
    loaded = Config.load(write_config(tmp_path, LIST), overrides)
    assert loaded.data.train == [Corpus("a", "b", weight=2.0), Corpus(pairs="c.jsonl", weight=0.25)]
    assert loaded.data.filters() == {"min_length": 1, "max_ratio": None, "unique": True}
    loaded.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == loaded


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
def test_an_error_in_a_list_names_line_and_index(tmp_path, old, new, line, expected):
    path = write_config(tmp_path, LIST.replace(old, new))
    assert error_of(path).startswith(f"{path}:{line}: {expected}")


def test_to_dict_is_complete():
    raw = Config().to_dict()
    assert set(raw) == {"data", "model", "training", "decoding", "export"}
    assert raw["training"]["label_smoothing"] == 0.1
    assert raw["model"]["encoder"] == {}


def test_overrides_are_yaml_values_and_create_sections(valid_config):
    loaded = Config.load(
        valid_config,
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
    assert loaded.training.updates == 10000
    assert loaded.training.scores == ["wer", "per"]
    assert loaded.training.clip_norm is None
    assert loaded.model.encoder == {"kind": "gru", "units": 64, "layers": 2}
    source, target = loaded.data.tokenizers()
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
        ("training.updates=0", "training.updates: expected an integer of at least 1, got 0"),
        ("training.updates=many", "training.updates: expected an integer of at least 1, got 'm"),
        ("training.updates=true", "training.updates: expected an integer of at least 1, got Tr"),
        ("training.label_smoothing=1", "expected a number of at least 0.0 and below 1.0, got 1"),
        ("training.learning_rate=0", "expected a number above 0.0 or null, got 0"),
        ("training.clip_norm=.inf", "training.clip_norm: expected a number of at least 0.0 or "),
        ("training.policy=bf16", "expected one of float32, mixed_bfloat16, mixed_float16 or null"),
        ("training.scores=[bleu, x]", "expected a list of bleu, chrf, ter, rouge1, rouge2, "),
        ("decoding.num_hypotheses=6", "num_hypotheses: expected at most beam_size, 5, got 6"),
        ("data.tokenizer.size=null", "expected an integer of at least 5 for sentencepiece"),
        ("data=3", "data: expected a mapping of train, valid, tokenizer, "),
        ("data.train={source: a}", "expected source and target, or pairs alone, got {'source'"),
        ("data.train=[]", "data.train: expected Corpus or a list of at least one Corpus or null"),
        ("data.valid=[{pairs: a}]", "data.valid: expected a mapping of source, target, pairs"),
        ("data.train=[3]", "data.train.0: expected a mapping of source, target, pairs"),
        ("data.max_ratio=0.5", "data.max_ratio: expected a number of at least 1.0 or null"),
        ("data.min_length=101", "data.min_length: expected at most max_length, 100, got 101"),
        ("training=[", "expected YAML, got: "),
        ("training", "expected section.key=value"),
        ("a..b=1", "expected section.key=value"),
    ],
)
def test_an_invalid_override_is_named(valid_config, key, expected):
    error = error_of(valid_config, key)
    assert error.startswith(f"override {key!r}: ")
    assert expected in error


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("  updates: 800", "  updates: 800\n  patiense: 3", 9, "the nearest is training.patience"),
        ("  updates: 800", "  updates: -1", 8, "training.updates: expected an integer of at le"),
        ("  updates: 800", "  learning_rate: 1", 8, "duplicate key training.learning_rate, "),
        ("{pairs: valid.tsv.gz}", "{}", 3, "data.valid: expected source and target, or pairs a"),
        ("{preset: transformer_tiny, dropout: 0.3}", "[1, 2", 6, "expected YAML, got: "),
    ],
)
def test_an_error_in_the_file_names_its_line(tmp_path, old, new, line, expected):
    path = write_config(tmp_path, VALID.replace(old, new))
    error = error_of(path)
    assert error.startswith(f"{path}:{line}: ")
    assert expected in error


def test_unreadable_files_are_named(tmp_path):
    missing = tmp_path / "none.yml"
    assert (
        error_of(missing)
        == f"{missing}: expected a configuration file, got: No such file or directory"
    )
    not_a_mapping = write_config(tmp_path, "- 1\n")
    assert error_of(not_a_mapping).startswith(f"{not_a_mapping}: expected a mapping of data, model")
    (tmp_path / "config.yml").write_bytes(b"data: \xff\n")
    not_utf8 = tmp_path / "config.yml"
    assert error_of(not_utf8) == f"{not_utf8}:1: expected UTF-8, got byte 0xff"


def test_an_empty_file_or_section_means_the_defaults(tmp_path):
    assert Config.load(write_config(tmp_path, "")) == Config()
    assert Config.load(write_config(tmp_path, "training:\n  # updates: 3\n")) == Config()


def test_constructors_validate_their_arguments():
    with pytest.raises(UserError, match=r"Training.updates: expected an integer .*, got 'x'"):
        config.Training(updates="x")
    with pytest.raises(
        UserError, match="Corpus: expected source and target, or pairs alone, got n"
    ):
        Corpus()
    with pytest.raises(UserError, match="Config.data: expected Data, got 3"):
        Config(data=3)
    assert type(config.Training(learning_rate=1).learning_rate) is float


def test_a_shared_tokenizer_excludes_one_per_side():
    shared = config.TokenizerConfig(shared=True)
    with pytest.raises(UserError, match="expected tokenizer alone where shared is true, got both"):
        config.Data(tokenizer=shared, target_tokenizer=config.TokenizerConfig())
    assert config.Data(tokenizer=shared).tokenizers() == (shared, shared)


def test_an_override_of_a_list_needs_a_valid_index(tmp_path):
    path = write_config(tmp_path, LIST)
    for key in ("data.train.2.weight=1", "data.train.one.weight=1", "data.train.-1=1"):
        assert "expected a number from 0 to 1, got " in error_of(path, key)


def test_cache_and_sampling_exclude_each_other():
    sampled = config.TokenizerConfig(sampling=config.SubwordSampling(alpha=0.1))
    assert config.Data(target_tokenizer=sampled).tokenizers()[1].sampling.alpha == 0.1
    with pytest.raises(UserError, match="Data.cache: expected none beside sampling"):
        config.Data(target_tokenizer=sampled, cache="x")


def test_sampling_round_trips_through_the_file(tmp_path):
    text = "data:\n  tokenizer: {sampling: {alpha: 0.2, nbest: 64}, special_tokens: [<2de>]}\n"
    loaded = Config.load(write_config(tmp_path, text))
    assert loaded.data.tokenizer.sampling == config.SubwordSampling(alpha=0.2, nbest=64)
    loaded.save(tmp_path / "again.yml")
    assert Config.load(tmp_path / "again.yml") == loaded
    error = error_of(write_config(tmp_path, "data:\n  tokenizer:\n    sampling: {alpah: 1}\n"))
    assert error.endswith(
        "config.yml:3: unknown key data.tokenizer.sampling.alpah; the nearest is "
        "data.tokenizer.sampling.alpha"
    )


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
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


def test_import_does_not_load_tensorflow():
    code = "import sys, keras_s2s.config; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_names_of_the_first_edition_stay_importable():
    assert config.is_frames is config.is_feature_file
    assert config.Sampling is config.SubwordSampling
    assert config.PartedSize is config.MultiSourceSize
    assert callable(config.replace_file) and callable(config.replacing) and callable(config.making)


def test_factors_reject_parts_of_other_kinds(tmp_path):
    text = "data:\n  source_tokenizer: {kind: factors, parts: [{kind: bytes}, {kind: characters}]}"
    expected = "expected two or more of kind whitespace or words for factors, got bytes, characters"
    assert expected in error_of(write_config(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("training.seed=20261130123456", 2**32 - 1),
        ("training.updates=2147483648", 2**31 - 1),
        ("training.patience=1e30", 2**31 - 1),
        ("data.batch_tokens=99999999999", 2**31 - 1),
        ("data.tokenizer.size=99999999999", 2**31 - 1),
        ("model.embedding=99999999999", 2**31 - 1),
        ("model.encoder={units: 99999999999}", 2**31 - 1),
        ("model.encoder={encoders: [{units: 99999999999}]}", 2**31 - 1),
        ("training.optimizer_options={epsilon: 1e300}", 3.4028234e38),
        ("training.learning_rate=1e300", 3.4028234e38),
        (f"training.learning_rate={10**400}", 3.4028234e38),
    ],
)
def test_numbers_that_no_tensor_holds_are_named_with_their_bound(valid_config, key, most):
    error = error_of(valid_config, key)
    name = key.partition("=")[0]
    assert name in error.removeprefix(f"override {key!r}: ")
    assert f"at most {most}" in error


def test_bounds_are_inclusive(valid_config):
    overrides = (f"training.seed={2**32 - 1}", f"training.updates={2**31 - 1}")
    assert Config.load(valid_config, overrides).training.seed == 2**32 - 1


def test_values_that_yaml_cannot_convert_are_named(valid_config):
    for value in ("2026-02-30", "1" * 5000):
        assert "training.init_from" in error_of(valid_config, f"training.init_from={value}")
