"""Files that a configuration names: what is missing or unreadable is reported at once."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.cli import main
from keras_s2s.cli.argument_parser import Parser
from keras_s2s.config import Config, Corpus
from keras_s2s.config.input_files import check_input_files
from keras_s2s.errors import UserError


def config_of(path, **sections):
    data = {"train": {"pairs": str(path)}, **sections.pop("data", {})}
    return Config.from_dict({"data": data, **sections})


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("a\tb\n")
    return path


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def error_of(config, run="runs/new", **options):
    with pytest.raises(UserError) as caught:
        check_input_files(config, run, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "section"),
    [
        ("data.valid.pairs", {"data": {"valid": {"pairs": "nope"}}}),
        ("data.valid.source", {"data": {"valid": {"source": "nope", "target": "nope"}}}),
        ("data.tokenizer.file", {"data": {"tokenizer": {"kind": "words", "file": "nope"}}}),
        ("training.init_from", {"training": {"init_from": "nope"}}),
        ("training.source_embeddings", {"training": {"source_embeddings": "nope"}}),
        ("decoding.dictionary", {"decoding": {"dictionary": "nope"}}),
        (
            "training.tensorboard.alignments",
            {"training": {"tensorboard": {"attention": 1, "alignments": "nope"}}},
        ),
    ],
)
def test_missing_files_are_named_with_their_keys(pairs, key, section):
    error = error_of(config_of(pairs, **section))
    expected = "expected a text file, got: No such file or directory"
    if key == "training.init_from":
        expected = "expected a run directory or a checkpoint, got neither"
    assert error == f"{key}: nope: {expected}"


def test_corpora_of_a_list_are_checked(pairs):
    given = Config.from_dict({"data": {"train": [{"pairs": str(pairs)}, {"pairs": "nope"}]}})
    assert error_of(given).startswith("data.train.1.pairs: nope: expected a text file")


def test_files_that_a_run_has_read_may_be_missing(tmp_path, pairs):
    tokenizer = {"tokenizer": {"kind": "words", "file": "nope"}}
    given = config_of(pairs, data=tokenizer, training={"init_from": "nope"})
    assert error_of(given, tmp_path, only_data=True).startswith("data.tokenizer.file")
    (tmp_path / "tokenizers").mkdir()
    (tmp_path / "tokenizers" / "target.json").touch()
    check_input_files(given, tmp_path, only_data=True)
    assert error_of(given, tmp_path).startswith("training.init_from")
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "checkpoint.json").touch()
    check_input_files(given, tmp_path)
    assert error_of(config_of("nope"), tmp_path).startswith("data.train.pairs: nope: expected")


def test_pipes_are_refused_where_a_file_is_read_again(pairs, pipe):
    assert "pipe: expected a regular file, which is read again" in error_of(config_of(pipe))
    vectors = {"source_embeddings": str(pipe)}
    check_input_files(config_of(pairs, training=vectors), "runs/new")
    error = error_of(config_of(pairs, training={**vectors, "target_embeddings": str(pipe)}))
    assert error.startswith("training.source_embeddings: ") and "got a pipe" in error


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\tb\n".encode("utf-16"), "got UTF-16; convert"),
        (b"a\tb\rc\td\r", r"lines end in \r alone"),
        (b"\x28\xb5\x2f\xfd", "got a zstd file"),
    ],
)
def test_texts_of_other_kinds_are_named(pairs, content, expected):
    pairs.write_bytes(content)
    assert expected in error_of(config_of(pairs))


def test_compressed_corpora_and_directories(tmp_path, pairs):
    pairs.write_bytes(gzip.compress(b"a\tb\n"))
    check_input_files(config_of(pairs), "runs/new")
    assert "Is a directory" in error_of(config_of(tmp_path))
    check_input_files(config_of("gs://bucket/pairs.tsv"), "runs/new")


def test_home_directories_are_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert Corpus(source="~/a", target="b~/~").source == "/home/me/a"
    assert Corpus(source="~/a", target="b~/~").target == "b~/~"
    given = config_of("~/p", data={"cache": "~/c"}, training={"init_from": "~"})
    assert (given.data.cache, given.training.init_from) == ("/home/me/c", "/home/me")
    parser = Parser()
    parser.add_argument("--run-dir")
    assert parser.parse(["--run-dir=~/run"]).run_dir == "/home/me/run"
    assert parser.parse(["--run-dir", "~x"]).run_dir == "~x"


@pytest.mark.parametrize("command", ["train", "vocab"])
def test_commands_report_files_before_tensorflow_starts(tmp_path, capsys, monkeypatch, command):
    monkeypatch.setattr(f"keras_s2s.cli.{command}.import_tensorflow", pytest.fail)
    config = tmp_path / "my.yml"
    config.write_text("data: {train: {source: nope.en, target: nope.de}}\n")
    assert main([command, str(config)]) == 2
    assert "data.train.source: nope.en: expected a text file, got: No" in capsys.readouterr().err
    config.write_text("training: {updates: 1}\n")
    assert main([command, str(config)]) == 2
    assert "data.train: expected source and target, or pairs" in capsys.readouterr().err


def test_check_needs_no_tensorflow():
    code = "import sys, keras_s2s.config.input_files; print('tensorflow' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert (output, Path("runs/new").exists()) == ("False\n", False)
