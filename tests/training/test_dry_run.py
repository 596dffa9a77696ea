"""A training that is only tried: what it says, what it refuses, and that it writes nothing."""

import io
import json

import pytest

from keras_s2s.cli import main
from keras_s2s.errors import UserError
from keras_s2s.models.seq2seq import Seq2Seq
from keras_s2s.training import batch_size_finder, dry_run, train
from tests.training.toy_runs import changed, small


def snapshot(directory):
    """Every file below, with its bytes and its time of change."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_new_run(tmp_path, corpora):
    said = io.StringIO()
    config = changed(small(corpora), data__cache=str(tmp_path / "cache"))
    found = dry_run(config, tmp_path / "run", stream=said)
    assert not list(tmp_path.iterdir())
    assert (found["updates"], found["pairs"], found["batch_tokens"]) == ([0, 11], 3000, 60)
    assert found["loss"] == pytest.approx(2.64, abs=0.2)  # ln 14
    assert found["model"] > 4 * 4 * 1000
    assert found["peak"] > 1e8
    json.dumps(found)
    lines = said.getvalue().splitlines()
    assert lines[1].startswith("data.train: 3,000 pairs")
    assert any(
        line.startswith("update: 10 pairs of up to 6 tokens, the longest; loss 2.")
        for line in lines
    )
    assert lines[-1] == f"{tmp_path / 'run'}: nothing written; 0 of 11 updates done"


def test_a_run_that_would_go_on(tmp_path, corpora):
    train(small(corpora), tmp_path / "run", stream=io.StringIO())
    before = snapshot(tmp_path)
    found = dry_run(small(corpora, updates=20), tmp_path / "run", stream=io.StringIO())
    assert found["updates"] == [11, 20]
    with pytest.raises(UserError, match="model.encoder.dropout is 0.3 in this run, came 0.1"):
        dry_run(changed(small(corpora), model__dropout=0.1), tmp_path / "run", stream=io.StringIO())
    assert snapshot(tmp_path) == before


def test_what_would_not_fit(tmp_path, corpora, monkeypatch):
    monkeypatch.setattr(dry_run.Prober, "expect", lambda self, batch: 10**15)
    expected = (
        r"an update of 60 tokens would take about 1e\+03 TB of memory, and .* are free; lower it"
    )
    with pytest.raises(UserError, match=expected):
        dry_run(small(corpora), tmp_path / "run", stream=io.StringIO())
    monkeypatch.setattr(dry_run, "COPIES", 10**12)
    with pytest.raises(UserError, match="run: checkpoints take .* TB, and .* are free"):
        dry_run(small(corpora), tmp_path / "run", stream=io.StringIO())


def test_a_loss_that_is_not_finite(tmp_path, corpora, monkeypatch):
    def objectives(self):
        return [lambda x, y, logits, weights: (logits[0, 0, 0] * float("nan"), 1.0)]

    monkeypatch.setattr(Seq2Seq, "objectives", objectives)
    with pytest.raises(
        UserError, match="an update on the longest pairs is not finite, with a loss of nan"
    ):
        dry_run(small(corpora), tmp_path / "run", stream=io.StringIO())


def test_a_model_too_large_to_make(tmp_path, corpora):
    config = changed(small(corpora), model__embedding=2**40)
    with pytest.raises(UserError, match="^model: out of memory as it was made; lower the model's"):
        dry_run(config, tmp_path / "run", stream=io.StringIO())


def test_the_command(tmp_path, corpora, capsys, monkeypatch):
    monkeypatch.setattr(batch_size_finder, "SIZES", (64, 128))
    path = tmp_path / "x.yml"
    changed(small(corpora), data__batch_tokens="auto").save(path)
    words = ["train", str(path), "--run-dir", str(tmp_path / "run"), "--dry-run"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "nothing written" in out
    assert "data.batch_tokens: 128: " in out
    assert " chosen\n" in out
    assert main([*words, "data.train.pairs=none.tsv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()
