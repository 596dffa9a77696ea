"""Translation of OpenNMT-tf configurations: every key is reported and its value translated."""

import json

import pytest
import yaml

from keras_s2s.cli import main
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import read, to_yaml, translate
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig, leaf_keys, merge
from keras_s2s.importers.opennmt.static_keys import INACTIVE, REFUSED, SAME
from tests.importers.documented import BASE, DOCUMENTED, FILES, given


def covered(key, spoken):
    parts = key.split(".")
    return any(".".join(parts[:end]) in spoken for end in range(1, len(parts) + 1))


def spoken_of(report):
    return {key.removesuffix(" (auto_config)") for key in report.reported_keys()}


def test_every_documented_key_is_reported():
    _, report = given(DOCUMENTED)
    assert not report.unknown
    missing = [key for key in leaf_keys(DOCUMENTED) if not covered(key, spoken_of(report))]
    assert not missing


KEYS = ["model_dir"] + [
    f"{section}.{key}"
    for section, values in DOCUMENTED.items()
    if isinstance(values, dict)
    for key in values
]
# What a key needs beside it.
BESIDE = {
    "params.num_hypotheses": {"beam_width": 2},
    "params.scheduled_sampling_type": {"scheduled_sampling_k": 3},
} | dict.fromkeys(
    ("data.eval_features_file", "data.eval_labels_file"),
    {"eval_features_file": "x", "eval_labels_file": "y"},
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("null", [False, True], ids=["value", "null"])
def test_single_or_null_key_is_reported_once(key, null):
    section, _, last = key.rpartition(".")
    value = DOCUMENTED[section][last] if section else DOCUMENTED[last]
    raw = {"data": dict(FILES)}
    inner = raw.setdefault(section, {}) if section else raw
    inner |= BESIDE.get(key, {})
    inner[last] = None if null else value
    if null and last.endswith(("features_file", "labels_file")):
        with pytest.raises(UserError, match=last):
            given(raw)
        return
    _, report = given(raw)
    rows = report.translated + report.same + report.refused
    found = [row.key for row in rows if row.key == key]
    nested = {row.key for row in rows if row.key.startswith(f"{key}.")}
    parts = {f"{key}.{part}" for part in value} if isinstance(value, dict) and not null else set()
    assert len(found) == 1 or nested == parts, (key, found, nested)
    assert not report.unknown


def test_tables_hold_documented_keys_and_do_not_overlap():
    tables = [set(SAME), set(INACTIVE), set(REFUSED)]
    known = set(leaf_keys(DOCUMENTED)) | {key.rpartition(".")[0] for key in leaf_keys(DOCUMENTED)}
    assert set().union(*tables) <= known
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_unsupported_values_are_refused():
    _, report = given(DOCUMENTED)
    refused = {row.key for row in report.refused}
    assert set(REFUSED) <= refused
    assert set(INACTIVE) <= refused
    assert {row.key for row in report.same} >= set(SAME)


def test_translated_values():
    config, report = given(DOCUMENTED)
    data, training, decoding = config.data, config.training, config.decoding
    assert (data.train.source, data.train.target, data.train.weights) == (
        "a.en",
        "a.de",
        "a.weights",
    )
    assert (data.valid.source, data.valid.target) == ("b.en", "b.de")
    assert (data.batch_tokens, data.max_length) == (2048, 70)
    source, target = data.tokenizers()
    assert (source.kind, source.file, source.sampling.nbest) == ("sentencepiece", "m.model", 64)
    assert (target.kind, target.file) == ("words", "v.de")
    assert training.source_embeddings == training.target_embeddings == "glove.txt"
    assert training.freeze == ["source/table", "encoder/layers/0", "head"]
    assert (training.optimizer, training.clip_norm) == ("adamw", 0.0)
    assert training.optimizer_options == {
        "beta_1": 0.8,
        "beta_2": 0.998,
        "epsilon": 1e-7,
        "weight_decay": 0.01,
        "clipnorm": 1,
    }
    assert (training.schedule, training.learning_rate, training.warmup) == ("noam", 1.0, 4000)
    assert (training.accumulate, training.updates, training.keep) == (13, 1000000, 8)
    assert (training.checkpoint_every, training.validate_every) == (1000, 4000)
    assert (training.ema, training.label_smoothing) == (0.9999, 0.2)
    assert (training.metric, training.patience) == ("bleu", 4)
    assert (config.export.when, config.export.keep) == ("best", 4)
    assert (decoding.beam_size, decoding.num_hypotheses) == (7, 2)
    assert (decoding.length_penalty, decoding.coverage_penalty) == (0.2, 0.3)
    assert (decoding.min_length, decoding.max_length, decoding.replace_unknown) == (1, 200, True)
    assert config.model.dropout == 0.3
    assert config.model.encoder["source_end"] is True
    assert "model.encoder.source_end" in {k for row in report.translated for k in row.ours}


def test_missing_keys_get_opennmt_defaults():
    config, report = given({})
    training, decoding = config.training, config.decoding
    assert (training.label_smoothing, training.clip_norm, training.schedule) == (0, 0, "constant")
    assert training.optimizer_options == {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert (decoding.beam_size, decoding.length_penalty, decoding.max_length) == (1, 0, 250)
    assert config.export.when == "never"
    assert config.model.encoder["source_end"] is False
    assert report.defaults["training.label_smoothing"] == 0
    assert not report.reported_keys()


def test_user_values_override_automatic_ones():
    raw = {"params": {"beam_width": 8, "optimizer_params": {"beta_1": 0.7}}}
    config, report = given({**raw, "auto_config": True})
    assert given(raw, auto=True)[0] == config
    training = config.training
    assert (training.label_smoothing, training.learning_rate, training.warmup) == (0.1, 2.0, 8000)
    assert training.optimizer_options == {"beta_1": 0.7, "beta_2": 0.999, "epsilon": 1e-7}
    assert (config.data.batch_tokens, training.accumulate) == (3072, 9)
    assert config.decoding.beam_size == 8
    lines = list(report.lines())
    assert "params.beam_width -> decoding.beam_size: 8" in lines
    assert "params.label_smoothing (auto_config) -> training.label_smoothing: 0.1" in lines
    with pytest.raises(UserError, match="--model-type: expected one for the automatic"):
        given(raw, None, auto=True)


def test_unknown_keys_are_reported_with_full_path():
    raw = {"params": {"foo": 1}, "eval": {"early_stopping": {"steps": 1, "bar": 2}}, "baz": 3}
    _, report = given(raw)
    assert {row.key for row in report.unknown} == {"params.foo", "eval.early_stopping.bar", "baz"}
    text = to_yaml(*translate(OpenNMTConfig(raw), BASE), "x.yml")
    assert "# params.foo: unknown:" in text


def test_files_are_merged_as_in_opennmt(tmp_path):
    one, two = tmp_path / "one.yml", tmp_path / "two.yml"
    one.write_text("params: {beam_width: 2, length_penalty: 0.1, optimizer_params: {beta_1: 0.1}}")
    two.write_text("params: {beam_width: 3, optimizer_params: {beta_2: 0.2}}\ntrain:")
    theirs = read([one, two])
    assert theirs.raw["params"] == {
        "beam_width": 3,
        "length_penalty": 0.1,
        "optimizer_params": {"beta_2": 0.2},
    }
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("params: [1", "expected YAML, "),
        ("- a", "expected a mapping of sections, got"),
        ("params: 3", ":1: params: expected a mapping, got 3"),
        ("params:\n  beam_width: x", ":2: params.beam_width: expected a whole number, got 'x'"),
        ("params:\n  beam_width: 1.5", ":2: params.beam_width: expected a whole number, got 1.5"),
        ("params: {label_smoothing: 2}", "training.label_smoothing: expected a number"),
        ("params: {num_hypotheses: 2}", "num_hypotheses: expected at most params.beam_width, 1"),
        ("train: {batch_type: words}", "train.batch_type: expected examples or tokens"),
        ("eval: {early_stopping: {metric: loss}}", "early_stopping.steps: expected a whole number"),
        ("data: {train_features_file: a}", "train_labels_file: expected 1 files"),
        ("data: {source_tokenization: 3}", "source_tokenization: expected a mapping, or a file"),
        ("data: {source_tokenization: {type: SentencePieceTokenizer}}", "params with the path"),
        ("data: {source_embedding: {trainable: false}}", "source_embedding.path: expected a file"),
    ],
)
def test_errors_name_file_key_and_value(tmp_path, text, problem):
    path = tmp_path / "theirs.yml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        translate(read([path]), BASE)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)


def test_command_writes_a_configuration_that_loads(tmp_path, capsys):
    path, output = tmp_path / "theirs.yml", tmp_path / "my.yml"
    path.write_text(yaml.safe_dump(DOCUMENTED))
    words = ["import", "--config", path, "--model-type", "TransformerBase", "--output", output]
    assert main([*map(str, words), "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert Config.load(output) == given(DOCUMENTED)[0]
    text = output.read_text()
    assert text.startswith(f"# made of {path} by keras-s2s import\n")
    for row in report["refused"]:
        assert f"# {row['key']}: no counterpart:" in text
        assert f"{row['key']}: no counterpart:" in err
    assert main([str(word) for word in words]) == 2
    assert "expected a path that does not exist" in capsys.readouterr().err


def test_command_prints_without_an_output(tmp_path, capsys):
    path = tmp_path / "theirs.yml"
    path.write_text("params: {beam_width: 3}")
    assert main(["import", "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["decoding"]["beam_size"] == 3
    assert "model: omitted; select the OpenNMT-tf model with --model-type" in err
    assert main(["import", "--config", str(path), "--json"]) == 2
    assert main(["import"]) == 2
