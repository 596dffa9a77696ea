"""Training end to end: a toy task that is learned, scored and exported."""

import io
import json
import os

import pytest

from keras_s2s import checkpoints
from keras_s2s.config import Config
from keras_s2s.config.run_directory import lock_run
from keras_s2s.errors import UserError
from keras_s2s.training import complete, train, train_tokenizers
from keras_s2s.translator import Translator
from tests.training.toy_runs import UPDATES, changed, configuration, read_metrics


def test_the_toy_is_learned(trained):
    run, figures, _ = trained
    assert figures["val_per"] < 10
    assert figures["val_accuracy"] > 0.9
    assert (figures["step"], figures["metric"]) == (UPDATES, "loss")
    assert figures["best"] <= figures["val_loss"]
    json.dumps(figures)
    translated = Translator.load(run).translate(["123", "9047", ""])
    assert translated[:2] == ["321", "7409"]
    assert len(translated) == 3


def test_the_run_directory_is_complete(trained):
    run, figures, _ = trained
    assert sorted(os.listdir(run)) == [
        "best",
        "config.yml",
        "last",
        "logs",
        "metrics.jsonl",
        "survey.npz",
        "tokenizers",
    ]
    assert checkpoints.load(run / "last")[1]["step"] == UPDATES
    assert checkpoints.load(run / "best")[1]["step"] == figures["best_step"]
    assert [line["step"] for line in read_metrics(run)] == [120, 240]
    assert read_metrics(run)[-1]["val_per"] == figures["val_per"]
    assert sorted(path.name for path in (run / "logs").iterdir()) == ["train", "valid"]
    stored = Config.load(run / "config.yml")
    assert complete(stored) == stored
    assert stored.model.encoder["units"] == 48
    assert stored.training.policy == "float32"


def test_corpora_and_chosen_values_are_printed(trained):
    output = trained[2].splitlines()
    assert output[0] == "tokenizers: characters 14 shared, trained"
    assert output[1].startswith("data.train: 3,000 pairs, ")
    assert output[3] == (
        f"model: {checkpoints.load_model(trained[0] / 'last').count_params():,} weights;"
        " policy float32, scores wer+per, metric loss, model gru_small"
    )
    assert "decoding 60 validation lines" in output
    assert any(line.startswith("scores: ") and "|nrefs:" in line for line in output)
    assert any(line.startswith("update 120: validation loss ") for line in output)


def test_without_a_validation_corpus_the_latest_is_the_best(tmp_path, corpora):
    config = changed(configuration(corpora, updates=4, validate_every=2), data__valid=None)
    output = io.StringIO()
    figures = train(config, tmp_path / "run", stream=output)
    assert "data.valid: none, so best/ is always the latest checkpoint" in output.getvalue()
    assert (figures["step"], figures["best_step"], figures["best"]) == (4, 4, None)
    more = changed(config, training__updates=5)
    assert train(more, tmp_path / "run", stream=output)["best_step"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["transformer_tiny", "pointer_generator"])
def test_other_families_train_under_mixed_bfloat16(tmp_path, corpora, preset):
    config = changed(
        configuration(
            corpora,
            updates=3,
            validate_every=3,
            validate_lines=4,
            policy="mixed_bfloat16",
            learning_rate=None,
            schedule=None,
        ),
        model__preset=preset,
        model__encoder={"units": 16},
        model__decoder={"units": 16},
        model__embedding=None,
    )
    figures = train(config, tmp_path / "run", stream=io.StringIO())
    assert figures["step"] == 3
    assert figures["val_wer"] >= 0
    model = checkpoints.load_model(tmp_path / "run" / "last")
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.slow
def test_scores_under_a_mixed_policy_are_those_of_the_trained_weights(tmp_path, corpora):
    """The translator works on a float32 copy, which has to follow the model."""
    config = configuration(corpora, policy="mixed_bfloat16", updates=100, validate_every=100)
    figures = train(config, tmp_path / "run", stream=io.StringIO())
    assert figures["val_accuracy"] > 0.7
    assert figures["val_per"] < 60  # of the weights it was made from: near 100


def test_exports_follow_the_configuration(tmp_path, corpora):
    config = configuration(corpora, updates=4, validate_every=2, validate_lines=0)
    calls = []

    def export(run_dir, step):
        calls.append((checkpoints.load(run_dir / "best")[1]["step"], step))
        raise UserError("the disc is full")

    output = io.StringIO()
    figures = train(config, tmp_path / "run", export=export, stream=output)
    assert calls == [(2, 2), (4, 4)]
    assert "export of update 2 failed: the disc is full" in output.getvalue()
    assert figures["step"] == 4
    with pytest.raises(UserError, match="the disc is full"):
        at_end = changed(config, export__when="end", training__updates=5)
        train(at_end, tmp_path / "run", export=export, stream=output)
    assert calls[2:] == [(5, 5)]


def test_pairs_that_are_skipped_are_counted(tmp_path, corpora):
    train_file = tmp_path / "train.tsv"
    train_file.write_text("12\t21\n\t3\n45\t\n" + "1" * 11 + "\t1\n12\t21\n")
    config = changed(
        configuration(corpora, updates=1), data__train={"pairs": str(train_file)}, data__valid=None
    )
    output = io.StringIO()
    train(config, tmp_path / "run", stream=output)
    expected = (
        "data.train: 5 pairs, 4 target tokens; skipped 2 with an empty side and 1 beyond 10 to"
    )
    assert expected in output.getvalue()


def test_tokenizers_are_trained_once(tmp_path, corpora, capsys):
    raw = configuration(corpora).to_dict()
    raw["data"] |= {
        "tokenizer": None,
        "source_tokenizer": {"kind": "characters", "size": None},
        "target_tokenizer": {"kind": "whitespace", "size": 50},
    }
    config = Config.from_dict(raw)
    source, target = train_tokenizers(config, tmp_path)
    assert (source.kind, source.size, target.kind, target.size) == (
        "characters",
        14,
        "whitespace",
        50,
    )
    assert capsys.readouterr().err.startswith("tokenizers: source characters 14, target whitespace")
    again, _ = train_tokenizers(changed(config, data__train={"pairs": "none.tsv"}), tmp_path)
    assert again.vocabulary == source.vocabulary
    os.unlink(tmp_path / "tokenizers" / "target.json")  # as an interruption would leave it
    assert train_tokenizers(config, tmp_path)[1].size == 50


def test_a_run_in_use_is_refused(tmp_path, corpora):
    with lock_run(tmp_path), pytest.raises(UserError, match=f"in use by process {os.getpid()} on"):
        train(configuration(corpora), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_config_of_the_user_is_refused_before_anything_is_written(tmp_path, corpora):
    (tmp_path / "config.yml").write_text("# my notes\ntraining: {updates: 3}\n")
    with pytest.raises(UserError, match="got one of your own"):
        train(configuration(corpora), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]
