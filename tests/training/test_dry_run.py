"""Dry run: report, errors, and no written files."""

import io
import json
import shutil

import pytest

from keras_s2s.cli import main
from keras_s2s.errors import UserError
from keras_s2s.models.seq2seq import Seq2Seq
from keras_s2s.training import batch_size_finder, dry_run
from keras_s2s.training.update_meter import UpdateMeter
from tests.training.toy_runs import UPDATES, changed, configuration, small_config


def snapshot(directory):
    """Every file of a directory with its content and modification time."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_dry_run_of_a_new_run(tmp_path, corpora):
    output = io.StringIO()
    config = changed(small_config(corpora), data__cache=str(tmp_path / "cache"))
    report = dry_run(config, tmp_path / "run", stream=output)
    assert not list(tmp_path.iterdir())
    assert (report["updates"], report["pairs"], report["batch_tokens"]) == ([0, 11], 3000, 60)
    assert report["loss"] == pytest.approx(2.64, abs=0.2)  # ln 14
    assert report["model"] > 4 * 4 * 1000
    assert report["peak"] > 1e8
    json.dumps(report)
    lines = output.getvalue().splitlines()
    assert lines[1].startswith("data.train: 3,000 pairs")
    assert any(
        line.startswith("update: 10 pairs of up to 6 tokens, the longest; loss 2.")
        for line in lines
    )
    assert lines[-1] == f"{tmp_path / 'run'}: nothing written; 0 of 11 updates done"


def test_dry_run_of_a_resumed_run(run, corpora):
    before = snapshot(run)
    report = dry_run(configuration(corpora, updates=UPDATES + 9), run, stream=io.StringIO())
    assert report["updates"] == [UPDATES, UPDATES + 9]
    with pytest.raises(UserError, match="model.encoder.dropout is 0.0 in this run, got 0.1"):
        config = changed(configuration(corpora), model__dropout=0.1)
        dry_run(config, run, stream=io.StringIO())
    assert snapshot(run) == before


def test_insufficient_memory_or_disk_space_is_reported(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(UpdateMeter, "estimate", lambda self, batch: 10**15)
    expected = (
        r"an update of 60 tokens would take about 1e\+03 TB of memory, and .* are free; lower it"
    )
    with pytest.raises(UserError, match=expected):
        dry_run(small_config(corpora), tmp_path / "run", stream=io.StringIO())
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(UserError, match="run: checkpoints take .*, and 1 kB are free"):
        dry_run(small_config(corpora), tmp_path / "run", stream=io.StringIO())


@pytest.mark.slow
def test_a_non_finite_loss_is_reported(tmp_path, corpora, monkeypatch):
    def objectives(self):
        return [lambda x, y, logits, weights: (logits[0, 0, 0] * float("nan"), 1.0)]

    monkeypatch.setattr(Seq2Seq, "objectives", objectives)
    with pytest.raises(
        UserError, match="an update on the longest pairs is not finite, with a loss of nan"
    ):
        dry_run(small_config(corpora), tmp_path / "run", stream=io.StringIO())


def test_a_model_too_large_to_build_is_reported(tmp_path, corpora):
    config = changed(small_config(corpora), model__encoder={"units": 2**31 - 1})
    with pytest.raises(UserError, match="^model: out of memory while it was built; lower the mod"):
        dry_run(config, tmp_path / "run", stream=io.StringIO())


def test_dry_run_of_the_command_line(tmp_path, corpora, capsys, monkeypatch):
    monkeypatch.setattr(batch_size_finder, "SIZES", (64, 128))
    path = tmp_path / "x.yml"
    changed(small_config(corpora), data__batch_tokens="auto").save(path)
    arguments = ["train", str(path), "--run-dir", str(tmp_path / "run"), "--dry-run"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "nothing written" in out
    assert "data.batch_tokens: 128: " in out
    assert " chosen\n" in out
    assert main([*arguments, "data.train.pairs=none.tsv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()
