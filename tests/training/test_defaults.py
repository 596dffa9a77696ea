"""Defaults by kind of model, and invalid configurations."""

import dataclasses
import io

import pytest

from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.models import PRESETS
from keras_s2s.training import complete, train
from keras_s2s.training.defaults import describe_choices
from tests.training.toy_runs import changed, configuration, small_config


def test_bad_input_is_named_before_a_file_is_written(tmp_path, corpora):
    good, broken = configuration(corpora), tmp_path / "broken.tsv"
    broken.write_text("1\t1\nno tab\n")
    for config, message in (
        (changed(good, model__preset="gruu"), "model.preset: .*'gruu'; the nearest is 'gru'"),
        (changed(good, data__train=None), "data.train: expected source and target, or pairs, got"),
        (
            changed(good, data__train={"pairs": "none.tsv"}),
            "none.tsv: expected a text file, .*: N",
        ),
        (
            changed(good, data__valid=None, training__metric="bleu"),
            "data.valid: .* bleu on, got no",
        ),
        (
            changed(good, data__valid=None, training__patience=2),
            "data.valid: expected a corpus for training.patience, got none",
        ),
        (
            changed(good, training__metric="wer", training__validate_lines=0),
            "training.metric: wer is",
        ),
        (changed(good, data__valid={"pairs": "gone.tsv"}), "gone.tsv: expected a text file"),
        (changed(good, data__train={"pairs": str(broken)}), "broken.tsv:2: .* no tab"),
        (
            changed(good, data__train={"source": str(broken), "target": corpora["train"]["pairs"]}),
            "expected as many lines in both, .* 2 and",
        ),
        (changed(good, data__tokenizer={"size": 5}), "data.tokenizer.size: expected at least "),
    ):
        with pytest.raises(UserError, match=message):
            train(config, tmp_path / "run", stream=io.StringIO())
        assert not (tmp_path / "run").exists()


def test_corpora_without_a_valid_pair_are_named_before_the_model_is_built(tmp_path, corpora):
    config = changed(configuration(corpora), data__max_length=1)
    with pytest.raises(UserError, match=r"expected a pair of 1 to 1 .* a side, .* beyond"):
        train(config, tmp_path / "run", stream=io.StringIO())
    assert not (tmp_path / "run" / "config.yml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer_options": {"betta": 1}}, "training.optimizer_options: adam: .*betta"),
        (
            {"optimizer_options": {"beta_1": "x"}},
            "training.optimizer_options: adam: Cast string to float is not sup",
        ),
        ({"optimizer_options": {"clipnorm": 1.0}}, "training.optimizer_options: adam: Only one of"),
        ({"optimizer_options": {"use_ema": True}}, "expected training.ema, got use_ema"),
        ({"optimizer_options": {"gradient_accumulation_steps": 2}}, "expected training.accumulate"),
        ({"freeze": ["encodr"]}, "training.freeze: expected the name .* nearest is encoder"),
        ({"schedule": "cosine", "updates": 10, "warmup": 10}, r"training.updates: .*warmup \(10\)"),
    ],
)
def test_errors_of_keras_name_their_key(tmp_path, corpora, options, message):
    with pytest.raises(UserError, match=message) as caught:
        train(configuration(corpora, **options), tmp_path / "run", stream=io.StringIO())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()  # before the first tokenizer is trained


def test_a_model_that_cannot_be_built_is_named_before_a_tokenizer_is_trained(tmp_path, corpora):
    config = changed(
        configuration(corpora),
        model__preset="transformer_tiny",
        model__encoder={"num_heads": 3},
        model__decoder={},
    )
    with pytest.raises(UserError, match="model.encoder: "):
        train(config, tmp_path / "run", stream=io.StringIO())
    assert not (tmp_path / "run").exists()


def choices(preset, flags=(), **training):
    raw = {"model": {"preset": preset}, "training": training}
    raw["data"] = {"valid": {"pairs": "valid.tsv"}}
    return complete(Config.from_dict(raw), cpu_flags=flags).training


def test_defaults_depend_on_the_kind_of_model():
    training = choices("transformer_base", ("fma", "avx512_bf16"))
    assert (training.policy, training.schedule, training.warmup) == (
        "mixed_bfloat16",
        "inverse_sqrt",
        2000,
    )
    assert training.learning_rate == pytest.approx((512 * 4000) ** -0.5, rel=0.01)
    assert training.optimizer_options == {"beta_2": 0.98, "epsilon": 1e-9}
    assert choices("transformer_base", ("fma",)).policy == "float32"
    assert choices("transformer_base", updates=10**6).warmup == 4000
    training = choices("lstm", ("avx512_bf16",))
    assert (training.policy, training.schedule, training.learning_rate) == (
        "float32",
        "exponential",
        0.001,
    )
    assert training.optimizer_options == {}
    assert (training.metric, training.scores) == ("loss", ["bleu", "chrf"])


def test_every_preset_has_defaults():
    for preset in PRESETS:
        training = choices(preset, ("avx512_bf16",))
        transformer = preset.startswith("transformer")
        assert training.schedule == ("inverse_sqrt" if transformer else "exponential"), preset
        assert training.policy == ("mixed_bfloat16" if transformer else "float32"), preset
        assert training.warmup == (2000 if transformer else 200), preset


def test_defaults_keep_given_values():
    training = choices(
        "transformer_tiny",
        schedule="noam",
        warmup=7,
        metric="wer",
        scores=["bleu"],
        optimizer="sgd",
        policy="mixed_float16",
    )
    assert (training.learning_rate, training.warmup, training.policy) == (1.0, 7, "mixed_float16")
    assert training.scores == ["bleu", "wer"]
    assert training.optimizer_options == {}
    assert choices("gru", validate_lines=0).scores == []
    given = Config.from_dict({"model": {"preset": "gru"}, "training": {"warmup": 3}})
    output = describe_choices(given, complete(given, cpu_flags=()))
    assert output == (
        "policy float32, learning_rate 0.001, schedule exponential, scores none, metric loss,"
        " model gru"
    )
    assert dataclasses.replace(complete(given, cpu_flags=()), data=given.data).training.warmup == 3


@pytest.mark.parametrize(
    ("head", "smoothing", "is_reported"),
    [
        ("adaptive_softmax", 0.1, True),
        pytest.param("adaptive_softmax", 0.0, False, marks=pytest.mark.slow),
        pytest.param("softmax", 0.1, False, marks=pytest.mark.slow),
    ],
)
def test_a_head_without_label_smoothing_is_reported(
    tmp_path, corpora, head, smoothing, is_reported
):
    config = small_config(corpora, updates=1, label_smoothing=smoothing)
    output = io.StringIO()
    train(changed(config, model__head={"kind": head}), tmp_path / "run", stream=output)
    message = f"training.label_smoothing: {smoothing} does not apply to the head {head}"
    assert (message in output.getvalue()) == is_reported
