"""Training end to end: a toy that is learned, resumed, interrupted, refused."""

import dataclasses
import io
import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from keras_s2s import checkpoints
from keras_s2s.config import Config, UserError
from keras_s2s.training import complete, train, train_tokenizers
from keras_s2s.training.defaults import describe_choices
from keras_s2s.translator import Translator

UPDATES = 240


def write_pairs(path, count, seed):
    """Strings of digits and their reversals."""
    digits = random.Random(seed)
    rows = ["".join(digits.choices("0123456789", k=digits.randint(2, 5))) for _ in range(count)]
    path.write_text("".join(f"{row}\t{row[::-1]}\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits")
    return {
        "train": {"pairs": write_pairs(root / "train.tsv", 3000, 1)},
        "valid": {"pairs": write_pairs(root / "valid.tsv", 60, 2)},
    }


def configuration(corpora, **training):
    model = {"preset": "gru_small", "dropout": 0.0, "embedding": 32,
             "encoder": {"units": 48}, "decoder": {"units": 48}}  # fmt: skip
    options = {"updates": UPDATES, "learning_rate": 0.01, "schedule": "constant", "warmup": 20,
               "label_smoothing": 0.0, "validate_every": 120}  # fmt: skip
    data = {**corpora, "tokenizer": {"kind": "characters", "size": None, "shared": True},
            "batch_tokens": 400, "max_length": 10}  # fmt: skip
    return Config.from_dict({"data": data, "model": model, "training": {**options, **training}})


def changed(config, **sections):
    raw = config.to_dict()
    for dotted, value in sections.items():
        section, key = dotted.split("__")
        raw[section][key] = value
    return Config.from_dict(raw)


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    """(run directory, figures, what was said) of a whole training."""
    run, said = tmp_path_factory.mktemp("runs") / "toy", io.StringIO()
    figures = train(configuration(corpora), run, stream=said)
    return run, figures, said.getvalue()


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


def journal(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


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


def test_the_run_directory_holds_all_that_is_needed(trained):
    run, figures, _ = trained
    assert sorted(os.listdir(run)) == [
        "best", "config.yml", "last", "logs", "metrics.jsonl", "tokenizers"]  # fmt: skip
    assert checkpoints.load(run / "last")[1]["step"] == UPDATES
    assert checkpoints.load(run / "best")[1]["step"] == figures["best_step"]
    assert [line["step"] for line in journal(run)] == [120, 240]
    assert journal(run)[-1]["val_per"] == figures["val_per"]
    assert sorted(path.name for path in (run / "logs").iterdir()) == ["train", "valid"]
    stored = Config.load(run / "config.yml")
    assert complete(stored) == stored
    assert stored.model.encoder["units"] == 48
    assert stored.training.policy == "float32"


def test_what_was_found_and_chosen_is_said(trained):
    said = trained[2].splitlines()
    assert said[0] == "tokenizers: characters 14 shared, trained"
    assert said[1].startswith("data.train: 3,000 pairs, ")
    assert said[3] == (
        f"model: {checkpoints.load_model(trained[0] / 'last').count_params():,} weights;"
        " policy float32, scores wer+per, metric loss, model gru_small"
    )
    assert "decoding 60 validation lines" in said
    assert any(line.startswith("scores: ") and "|nrefs:" in line for line in said)
    assert any(line.startswith("update 120: validation loss ") for line in said)


def test_training_goes_on_from_the_last_checkpoint(trained, run, corpora):
    said = io.StringIO()
    figures = train(configuration(corpora, updates=300), run, stream=said)
    assert f"{run}: going on from update 240\n" in said.getvalue()
    assert f"from {run / 'tokenizers'}\n" in said.getvalue()
    assert figures["step"] == 300
    assert [line["step"] for line in journal(run)] == [120, 240, 300]
    assert journal(run)[-1]["loss"] < journal(run)[-2]["loss"]
    assert figures["seconds"] > trained[1]["seconds"]
    # the number of updates is the optimizer's, so that schedules go on too
    assert checkpoints.load(run / "last")[1]["validations"] == 3


def test_a_finished_training_says_so(run, corpora):
    before = (run / "last" / "checkpoint.json").read_text()
    said = io.StringIO()
    figures = train(configuration(corpora), run, stream=said)
    assert said.getvalue().splitlines()[-1] == (
        f"{run}: 240 of 240 updates are done; raise training.updates to go on"
    )
    assert figures["step"] == UPDATES
    assert (run / "last" / "checkpoint.json").read_text() == before


def test_exhausted_patience_is_a_finished_training_too(run, corpora):
    manifest = run / "last" / "checkpoint.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "waited": 2}))
    said = io.StringIO()
    train(configuration(corpora, updates=300, patience=2), run, stream=said)
    assert "stopped at update 240 after 2 validations without a better loss" in said.getvalue()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model__encoder", {"units": 64}, "model.encoder.units is 48 in this run, came 64"),
        ("model__dropout", 0.5, "model.encoder.dropout is 0.0 in this run, came 0.5"),
        ("training__optimizer", "sgd", "training.optimizer is 'adam' in this run, came 'sgd'"),
        ("data__tokenizer", {"kind": "whitespace", "shared": True},
         "data.tokenizer.kind is 'characters' in this run, came 'whitespace'"),
        ("data__tokenizer", {"kind": "characters", "size": None},
         "data.tokenizer is {.*'shared': True} in this run, came None"),
    ],
)  # fmt: skip
def test_a_run_of_another_model_is_refused(run, corpora, key, value, message):
    config = changed(configuration(corpora, updates=300), **{key: value})
    before = (run / "config.yml").read_text()
    with pytest.raises(UserError, match=f"config.yml: {message}.*; expected the same, or another"):
        train(config, run, stream=io.StringIO())
    assert (run / "config.yml").read_text() == before


class Interrupting(io.StringIO):
    """Sends this process the signal of Ctrl-C when a line begins so."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def write(self, text):
        if text.startswith(self.text):
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)


def test_an_interruption_loses_the_updates_since_the_last_validation_and_no_more(tmp_path, corpora):
    config = configuration(corpora, updates=9, validate_every=3, validate_lines=0)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", stream=Interrupting("update 6: "))
    said = io.StringIO()
    figures = train(config, tmp_path / "run", stream=said)
    assert "going on from update 6" in said.getvalue()
    assert figures["step"] == 9
    assert [line["step"] for line in journal(tmp_path / "run")][-1] == 9
    assert len(list((tmp_path / "run" / "last").iterdir())) == 2


def test_an_interruption_before_the_first_checkpoint_begins_anew(tmp_path, corpora):
    config = configuration(corpora, updates=2, validate_every=2, validate_lines=4)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", stream=Interrupting("decoding"))
    assert not (tmp_path / "run" / "last").exists()
    said = io.StringIO()
    # nothing is lost: any model may begin
    other = changed(config, model__decoder={"units": 16}, training__validate_lines=0)
    assert train(other, tmp_path / "run", stream=said)["step"] == 2
    assert "going on" not in said.getvalue()
    assert "trained" not in said.getvalue().splitlines()[0]


def test_without_a_validation_corpus_the_latest_is_the_best(tmp_path, corpora):
    config = changed(configuration(corpora, updates=4, validate_every=2), data__valid=None)
    said = io.StringIO()
    figures = train(config, tmp_path / "run", stream=said)
    assert "data.valid: none, so best/ is always the latest checkpoint" in said.getvalue()
    assert (figures["step"], figures["best_step"], figures["best"]) == (4, 4, None)
    more = changed(config, training__updates=5)
    assert train(more, tmp_path / "run", stream=said)["best_step"] == 5


@pytest.mark.parametrize("preset", ["transformer_tiny", "pointer_generator"])
def test_other_families_train_under_mixed_bfloat16(tmp_path, corpora, preset):
    config = changed(
        configuration(corpora, updates=3, validate_every=3, validate_lines=4,
                      policy="mixed_bfloat16", learning_rate=None, schedule=None),
        model__preset=preset, model__encoder={"units": 16}, model__decoder={"units": 16},
        model__embedding=None,
    )  # fmt: skip
    figures = train(config, tmp_path / "run", stream=io.StringIO())
    assert figures["step"] == 3
    assert figures["val_wer"] >= 0
    model = checkpoints.load_model(tmp_path / "run" / "last")
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_scores_under_a_mixed_policy_are_those_of_the_trained_weights(tmp_path, corpora):
    """The translator works on a float32 copy, which has to follow the model."""
    config = configuration(corpora, policy="mixed_bfloat16", updates=100, validate_every=100)
    figures = train(config, tmp_path / "run", stream=io.StringIO())
    assert figures["val_accuracy"] > 0.7
    assert figures["val_per"] < 60  # of the weights it was made from: near 100


def test_exports_when_the_configuration_says(tmp_path, corpora):
    config = configuration(corpora, updates=4, validate_every=2, validate_lines=0)
    calls = []

    def export(run_dir, step):
        calls.append((checkpoints.load(run_dir / "best")[1]["step"], step))
        raise UserError("the disc is full")

    said = io.StringIO()
    figures = train(config, tmp_path / "run", export=export, stream=said)
    assert calls == [(2, 2), (4, 4)]
    assert "export of update 2 failed: the disc is full" in said.getvalue()
    assert figures["step"] == 4
    with pytest.raises(UserError, match="the disc is full"):
        at_end = changed(config, export__when="end", training__updates=5)
        train(at_end, tmp_path / "run", export=export, stream=said)
    assert calls[2:] == [(5, 5)]


def test_bad_input_is_named_before_anything_is_written(tmp_path, corpora):
    good = configuration(corpora)
    for config, message in (
        (changed(good, model__preset="gruu"), "model.preset: .*'gruu'; the nearest is 'gru'"),
        (changed(good, data__train=None), "data.train: expected source and target, or pairs, came"),
        (
            changed(good, data__train={"pairs": "none.tsv"}),
            "none.tsv: expected a text file, came: N",
        ),
        (
            changed(good, data__valid=None, training__metric="bleu"),
            "data.valid: .* bleu on, came no",
        ),
        (
            changed(good, training__metric="wer", training__validate_lines=0),
            "training.metric: wer is",
        ),
        (changed(good, data__tokenizer={"size": 5}), "data.tokenizer.size: expected at least "),
    ):
        with pytest.raises(UserError, match=message):
            train(config, tmp_path / "run", stream=io.StringIO())
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer_options": {"betta": 1}}, "training.optimizer_options: adam: .*betta"),
        ({"schedule": "cosine", "updates": 10, "warmup": 10}, r"training.updates: .*warmup \(10\)"),
    ],
)
def test_what_keras_refuses_names_its_key(tmp_path, corpora, options, message):
    with pytest.raises(UserError, match=message):
        train(configuration(corpora, **options), tmp_path / "run", stream=io.StringIO())


def test_pairs_that_are_skipped_are_counted(tmp_path, corpora):
    train_file = tmp_path / "train.tsv"
    train_file.write_text("12\t21\n\t3\n45\t\n" + "1" * 11 + "\t1\n12\t21\n")
    config = changed(
        configuration(corpora, updates=1), data__train={"pairs": str(train_file)}, data__valid=None
    )
    said = io.StringIO()
    train(config, tmp_path / "run", stream=said)
    expected = (
        "data.train: 5 pairs, 4 target tokens; skipped 2 with an empty side and 1 beyond 10 to"
    )
    assert expected in said.getvalue()


def test_tokenizers_are_made_once(tmp_path, corpora, capsys):
    raw = configuration(corpora).to_dict()
    raw["data"] |= {"tokenizer": None, "source_tokenizer": {"kind": "characters", "size": None},
                    "target_tokenizer": {"kind": "whitespace", "size": 50}}  # fmt: skip
    config = Config.from_dict(raw)
    source, target = train_tokenizers(config, tmp_path)
    assert (source.kind, source.size, target.kind, target.size) == (
        "characters", 14, "whitespace", 50)  # fmt: skip
    assert capsys.readouterr().err.startswith("tokenizers: source characters 14, target whitespace")
    again, _ = train_tokenizers(changed(config, data__train={"pairs": "none.tsv"}), tmp_path)
    assert again.vocabulary == source.vocabulary
    os.unlink(tmp_path / "tokenizers" / "target.json")  # as an interruption would leave it
    assert train_tokenizers(config, tmp_path)[1].size == 50


def choices(preset, flags=(), **training):
    raw = {"model": {"preset": preset}, "training": training}
    raw["data"] = {"valid": {"pairs": "valid.tsv"}}
    return complete(Config.from_dict(raw), cpu_flags=flags).training


def test_defaults_follow_the_family():
    made = choices("transformer_base", ("fma", "avx512_bf16"))
    assert (made.policy, made.schedule, made.warmup) == ("mixed_bfloat16", "inverse_sqrt", 2000)
    assert made.learning_rate == pytest.approx((512 * 4000) ** -0.5, rel=0.01)
    assert made.optimizer_options == {"beta_2": 0.98, "epsilon": 1e-9}
    assert choices("transformer_base", ("fma",)).policy == "float32"
    assert choices("transformer_base", updates=10**6).warmup == 4000
    made = choices("lstm", ("avx512_bf16",))
    assert (made.policy, made.schedule, made.learning_rate) == ("float32", "exponential", 0.001)
    assert made.optimizer_options == {}
    assert (made.metric, made.scores) == ("loss", ["bleu", "chrf"])


def test_defaults_leave_what_is_given():
    made = choices("transformer_tiny", schedule="noam", warmup=7, metric="wer", scores=["bleu"],
                   optimizer="sgd", policy="mixed_float16")  # fmt: skip
    assert (made.learning_rate, made.warmup, made.policy) == (1.0, 7, "mixed_float16")
    assert made.scores == ["bleu", "wer"]
    assert made.optimizer_options == {}
    assert choices("gru", validate_lines=0).scores == []
    given = Config.from_dict({"model": {"preset": "gru"}, "training": {"warmup": 3}})
    said = describe_choices(given, complete(given, cpu_flags=()))
    assert said == (
        "policy float32, learning_rate 0.001, schedule exponential, scores none, metric loss,"
        " model gru"
    )
    assert dataclasses.replace(complete(given, cpu_flags=()), data=given.data).training.warmup == 3
