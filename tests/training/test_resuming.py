"""Going on: the same run whatever cut it off, and no other run's."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_s2s import checkpoints
from keras_s2s.errors import UserError
from keras_s2s.training import train
from keras_s2s.training.session import build_session
from tests.training.toy_runs import UPDATES, changed, configuration, journal, small


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
        ("training__policy", "mixed_float16", "training.policy is 'float32 or mixed_bfloat16' in"),
        ("model__encoder", {"units": 64}, "model.encoder.units is 48 in this run, came 64"),
        ("model__dropout", 0.5, "model.encoder.dropout is 0.0 in this run, came 0.5; model.dec"),
        ("data__max_length", 9, "data.max_length is 10 in this run, came 9"),
        ("training__optimizer", "sgd", "training.optimizer is 'adam' in this run, came 'sgd'"),
        (
            "data__tokenizer",
            {"kind": "whitespace", "shared": True},
            "data.tokenizer.kind is 'characters' in this run, came 'whitespace'",
        ),
        (
            "data__tokenizer",
            {"kind": "characters", "size": None},
            "data.tokenizer is {.*'shared': True.*} in this run, came None",
        ),
    ],
)
def test_a_run_of_another_model_is_refused(run, corpora, key, value, message):
    config = changed(configuration(corpora, updates=300), **{key: value})
    before = (run / "config.yml").read_text()
    with pytest.raises(UserError, match=f"config.yml: {message}.*; expected the same, or another"):
        train(config, run, stream=io.StringIO())
    assert (run / "config.yml").read_text() == before


def test_a_run_that_is_older_than_an_argument_has_its_default(run, corpora):
    same, config = configuration(corpora, updates=300), run / "config.yml"
    other = changed(same, model__decoder={"units": 48, "bridge": "zero"})
    older = config.read_text().replace("    bridge: dense\n", "")
    config.write_text(older)
    with pytest.raises(UserError, match="model.decoder.bridge is 'dense' in this run, came 'zero'"):
        build_session(other, run, io.StringIO())
    assert config.read_text() == older
    build_session(same, run, io.StringIO())
    assert "    bridge: dense\n" in config.read_text()


@pytest.mark.parametrize("how", ["another file", "the file changed", "moved"])
def test_a_run_of_other_data_is_refused_but_not_its_move(run, corpora, tmp_path, how):
    config, copy = configuration(corpora, updates=300), tmp_path / "copy.tsv"
    shutil.copy(corpora["train"]["pairs"], copy)
    if how != "moved":
        copy.write_text(copy.read_text() + "12\t21\n")
    if how == "the file changed":
        stored = (run / "config.yml").read_text()
        (run / "config.yml").write_text(stored.replace(corpora["train"]["pairs"], str(copy)))
    config = changed(config, data__train={"pairs": str(copy)})
    if how == "moved":
        build_session(config, run, io.StringIO())
        return
    message = {
        "another file": f"data.train.pairs is '.*train.tsv' in this run, came '{copy}'; exp",
        "the file changed": "data.train: the files changed since .* began",
    }[how]
    with pytest.raises(UserError, match=message):
        build_session(config, run, io.StringIO())


class Interrupting(io.StringIO):
    """Sends this process the signal of Ctrl-C when a line begins so."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def write(self, text):
        if text.startswith(self.text):
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)


def weights(directory):
    return checkpoints.load_model(directory).get_weights()


def assert_same_course(run, expected):
    """The same curve and the same weights, but for time."""
    for line, other in zip(journal(run), journal(expected), strict=True):
        for name in line.keys() - {"seconds", "tokens_per_second"}:
            assert line[name] == pytest.approx(other[name], rel=1e-6), name
    for directory in ("best", "last"):
        for one, other in zip(weights(run / directory), weights(expected / directory), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
        states = [checkpoints.load(path / directory)[1] for path in (run, expected)]
        for name in ("step", "position", "best", "best_step", "waited", "validations", "seeds"):
            assert states[0][name] == states[1][name], name


def test_a_resumed_run_is_the_one_that_was_never_interrupted(tmp_path, corpora, monkeypatch):
    config = small(corpora, accumulate=2, ema=0.9)
    train(config, tmp_path / "whole", stream=io.StringIO())
    real, killed = checkpoints.save, []

    def killing(model, directory, state):
        path = real(model, directory, state)
        if state["step"] == 8 and not killed:  # between best/ and last/
            killed.append(path)
            raise KeyboardInterrupt
        return path

    monkeypatch.setattr(checkpoints, "save", killing)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", stream=io.StringIO())
    state = checkpoints.load(tmp_path / "cut" / "last")[1]  # within an epoch
    assert (state["step"], state["validations"]) == (6, 1)
    train(config, tmp_path / "cut", stream=io.StringIO())
    assert_same_course(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_as_if_it_never_was(tmp_path, corpora):
    config = small(corpora, updates=600, validate_every=40, checkpoint_every=7, validate_lines=4)
    config.save(tmp_path / "config.yml")
    train(config, tmp_path / "whole", stream=io.StringIO())
    command = [
        sys.executable,
        "-m",
        "keras_s2s",
        "train",
        str(tmp_path / "config.yml"),
        "--run-dir",
        str(tmp_path / "cut"),
        "export.when=never",
    ]
    root, moments, kills = Path(__file__).resolve().parents[2], random.Random(3), 0
    manifest = tmp_path / "cut" / "last" / "checkpoint.json"
    while True:
        before = manifest.read_text() if manifest.exists() else ""
        with subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and (
                not manifest.exists() or manifest.read_text() == before
            ):
                time.sleep(0.05)
            time.sleep(moments.uniform(0.0, 3.0))
            process.kill()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 2
    assert_same_course(tmp_path / "cut", tmp_path / "whole")


def test_another_metric_forgets_the_best_of_the_one_before(run, corpora):
    said = io.StringIO()
    config = configuration(corpora, updates=300, metric="accuracy")
    best = checkpoints.load(run / "last")[1]["best"]
    state = build_session(config, run, said).course.state
    assert "training.metric changed: the next validation is the best so far\n" in said.getvalue()
    assert (best < 1, state["best"], state["waited"]) == (True, None, 0)
    again = build_session(configuration(corpora, updates=300, patience=3, metric="loss"), run, said)
    assert again.course.state["best"] == best


def test_another_batch_size_goes_on_in_another_order(tmp_path, corpora):
    train(small(corpora, updates=2), tmp_path / "run", stream=io.StringIO())
    said = io.StringIO()
    config = changed(small(corpora, updates=4), data__batch_tokens=30)
    train(config, tmp_path / "run", stream=said)
    assert "data.train: another order from here, by seed 3\n" in said.getvalue()
    state = checkpoints.load(tmp_path / "run" / "last")[1]
    assert (state["step"], state["position"]) == (4, 2)


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
