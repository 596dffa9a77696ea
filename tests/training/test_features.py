"""Runs whose data are frames: from files to forecasts and labels, and what they learn."""

import json
import sys

import numpy as np
import pytest

from keras_s2s import cli
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.export import export_saved_model
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.training import dry_run, train
from keras_s2s.translator import Forecaster, Translator
from tests.training.toy_runs import changed

HORIZON = 8


def note(figure):
    """A figure for whoever runs this with -s."""
    sys.stderr.write(f"{figure}\n")


def sines(path, count, seed):
    """Two sines a row, each of its own period and phase: the past, and what follows."""
    random, past, future = np.random.default_rng(seed), [], []
    for _ in range(count):
        length = random.integers(14, 20)
        steps = np.arange(length + HORIZON)[:, None]
        phase, period = random.uniform(0, 2 * np.pi, 2), random.uniform(8, 14, 2)
        wave = np.sin(2 * np.pi * steps / period + phase).astype("float32")
        past.append(wave[:length])
        future.append(wave[length:])
    np.savez(f"{path}-x.npz", *past)
    np.savez(f"{path}-y.npz", *future)
    return {"source": f"{path}-x.npz", "target": f"{path}-y.npz"}


def sounds(path, count, seed):
    """Noisy frames of letters, each two to four frames long, and the letters."""
    random, frames, texts = np.random.default_rng(seed), [], []
    shapes = np.random.default_rng(0).normal(size=(6, 5))
    for _ in range(count):
        word = random.integers(0, 6, random.integers(2, 6))
        held = np.repeat(word, random.integers(2, 5, len(word)))
        noise = random.normal(0, 0.3, (len(held), 5))
        frames.append((shapes[held] + noise).astype("float32"))
        texts.append(" ".join("abcdef"[i] for i in word))
    sizes = [len(one) for one in frames]
    np.savez(f"{path}-x.npz", frames=np.concatenate(frames), lengths=sizes)
    (path.parent / f"{path.name}-y.txt").write_text("".join(f"{text}\n" for text in texts))
    return {"source": f"{path}-x.npz", "target": f"{path}-y.txt"}


def configuration(make, folder, sizes=(60, 8), units=8, model=None, **training):
    data = {
        "train": make(folder / "train", sizes[0], 1),
        "valid": make(folder / "valid", sizes[1], 2),
        "batch_tokens": 200,
        "max_length": 40,
    }
    if make is sounds:
        data["tokenizer"] = {"kind": "whitespace", "size": None}
    preset = {"preset": "forecaster" if make is sines else "gru_small", "embedding": units}
    preset |= {"encoder": {"units": units}, "decoder": {"units": units}, "dropout": 0.0}
    options = {"updates": 6, "validate_every": 3, "learning_rate": 0.01}
    return Config.from_dict(
        {"data": data, "model": preset | (model or {}), "training": options | training}
    )


@pytest.mark.slow
def test_a_run_of_forecasts(tmp_path, capsys):
    config, run = configuration(sines, tmp_path, metric="mae"), tmp_path / "run"
    dry_run(config, run)
    assert not run.exists()
    figures = train(config, run)
    assert figures["step"] == 6
    assert figures["best"] == pytest.approx(min(line["val_mae"] for line in _journal(run)))
    assert Config.from_run(run).decoding.steps == HORIZON
    more = train(changed(config, training__updates=9), run)  # goes on
    assert more["step"] == 9
    forecaster = Forecaster.load(run)
    past = list(np.load(config.data.valid.source).values())
    found = forecaster.forecast(past[:3])
    assert [one.values.shape for one in found] == [(HORIZON, 2)] * 3
    out = tmp_path / "out.npz"
    words = ["forecast", str(run), "--input", config.data.valid.source]
    assert cli.main([*words, "--output", str(out)]) == 0
    with np.load(out) as written:
        assert len(written.files) == 8
        for one, name in zip(found, written.files, strict=False):
            np.testing.assert_allclose(written[name], one.values, atol=1e-4)
    capsys.readouterr()
    assert cli.main([*words, "--steps", "2"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(rows[0]["values"], found[0].values[:2], atol=1e-4)


@pytest.mark.slow
def test_a_run_of_labels(tmp_path, capsys):
    config, run = configuration(sounds, tmp_path), tmp_path / "run"
    figures = train(config, run)
    assert {"val_wer", "val_per", "val_accuracy"} <= set(figures)
    frames = str(config.data.valid.source)
    capsys.readouterr()
    assert cli.main(["translate", str(run), "--input", frames]) == 0
    lines = capsys.readouterr().out.splitlines()
    with np.load(frames) as packed:
        rows = np.split(packed["frames"], np.cumsum(packed["lengths"])[:-1])
    assert lines == Translator.load(run).translate(rows)
    assert cli.main(["translate", str(run), "--input", frames, "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert row["source"] == f"{len(rows[0])} frames"
    assert cli.main(["evaluate", str(run)]) == 0
    assert "perplexity" in capsys.readouterr().out


def _journal(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_mistakes_are_named(tmp_path):
    config = configuration(sines, tmp_path)
    with pytest.raises(UserError, match="training.metric: expected one of loss, mae, rmse for"):
        train(changed(config, training__metric="bleu"), tmp_path / "a")
    with pytest.raises(UserError, match="head: expected a regression head"):
        train(changed(config, model__head={"kind": "softmax"}), tmp_path / "a")
    with pytest.raises(UserError, match="model.target.last: unknown key, expected one of norm"):
        train(changed(config, model__target={"last": True}), tmp_path / "a")
    with pytest.raises(UserError, match="cache: expected none beside a side of frames"):
        changed(config, data__cache="there")
    text = {"source": str(tmp_path / "x"), "target": str(tmp_path / "y")}
    with pytest.raises(UserError, match="valid: expected the same sides to be frames"):
        changed(config, data__valid=text)
    odd = tmp_path / "odd-x.npz"
    np.savez(odd, *[np.zeros([3, 3])] * 8)
    valid = {"source": str(odd), "target": config.data.valid.target}
    with pytest.raises(UserError, match="odd-x.npz: expected frames of 2 numbers, came .* 3"):
        train(changed(config, data__valid=valid), tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["l2", "gaussian"])
def test_sines_are_forecast(tmp_path, loss):
    config = configuration(
        sines,
        tmp_path,
        (2000, 64),
        48,
        {"head": {"kind": "regression", "loss": loss}, "target": {"first": "source"}},
        updates=600,
        validate_every=200,
        metric="rmse",
    )
    run = tmp_path / "run"
    train(changed(config, data__batch_tokens=800), run)
    past, future = (list(np.load(f"{tmp_path}/valid-{side}.npz").values()) for side in "xy")
    found = Forecaster.load(run).forecast(past)
    away = np.stack([one.values for one in found]) - np.stack(future)
    error = np.sqrt(np.square(away).mean())
    last = np.stack([row[-1:] for row in past]) - np.stack(future)  # as if nothing moved
    note(f"{loss}: rmse {error:.4f}, of the last frame {np.sqrt(np.square(last).mean()):.4f}")
    assert error < 0.2
    if loss == "gaussian":
        variances = np.stack([one.variances for one in found])
        within = (np.square(away) < 4 * variances).mean((0, 2))  # by step
        note(f"within two deviations, step by step: {np.round(within, 2).tolist()}")
        # a variance is of one step: what earlier steps were wrong by is not in it
        assert within[0] > 0.6
        assert within[0] > within[-1]
    path = export_saved_model(run, tmp_path / "served")
    with LocalModel(path) as client:
        for one, two in zip(client.forecast(past), found, strict=True):
            np.testing.assert_allclose(one.values, two.values, atol=1e-3)


@pytest.mark.slow
def test_letters_are_heard(tmp_path):
    config = configuration(
        sounds, tmp_path, (2000, 64), 48, updates=500, validate_every=250, metric="per"
    )
    run = tmp_path / "run"
    figures = train(changed(config, data__batch_tokens=800), run)
    note(f"per {figures['best']:.2f}")
    assert figures["best"] < 10.0
