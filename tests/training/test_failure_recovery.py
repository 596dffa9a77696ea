"""Recovery from non-finite updates, and messages about insufficient memory."""

import io
import json

import pytest
import tensorflow as tf

from keras_s2s import checkpoints
from keras_s2s.data import find_lines
from keras_s2s.errors import UserError
from keras_s2s.models.seq2seq import Seq2Seq
from keras_s2s.training import train
from keras_s2s.training.session import build_session
from tests.training.toy_runs import changed, read_metrics, small_config

POISON = "!"
STEP = 6


@pytest.fixture
def poisoned(tmp_path, corpora, monkeypatch):
    """(configuration, lines by file): the loss of update STEP is NaN."""
    path = tmp_path / "train.tsv"

    def write(target):
        rows = [[f"{n:03}", f"{n:03}"[::-1]] for n in range(600)]
        rows[0][0] = f"12{POISON}"  # for the tokenizer
        if target is not None:
            rows[target - 1][1] = f"12{POISON}"
        path.write_text("".join(f"{one}\t{two}\n" for one, two in rows))

    config = changed(
        small_config(corpora, updates=24, validate_every=12, checkpoint_every=2),
        data__train={"pairs": str(path)},
        data__valid=None,
    )
    write(None)
    session = build_session(config, tmp_path / "prepared", io.StringIO())
    order = {"batch_tokens": 60, "seed": config.training.seed}
    lines = find_lines(config.data.train, session.statistics["train"], STEP - 1, **order)
    write(lines[str(path)][3])  # of equal length, so the order of the data stays
    bad = int(session.tokenizers[1].ids(tf.constant([POISON]))[0])
    original = Seq2Seq.objectives

    def objectives(self):
        def objective(x, y, logits, weights):
            total, count = original(self)[0](x, y, logits, weights)
            return tf.where(tf.reduce_any(tf.equal(y, bad)), float("nan"), 1.0) * total, count

        return [objective]

    monkeypatch.setattr(Seq2Seq, "objectives", objectives)
    return config, lines


def test_a_non_finite_update_stops_and_names_its_lines(tmp_path, poisoned):
    config, lines = poisoned
    ((path, numbers),) = lines.items()
    message = (
        rf"^update {STEP}: the loss is nan; read from {path}:{numbers[0]},.* and \d+ more lines"
    )
    with pytest.raises(UserError, match=message) as caught:
        train(config, tmp_path / "run", stream=io.StringIO())
    assert "training.on_nan: skip or roll_back continues" in str(caught.value)
    assert "\n" not in str(caught.value)
    written = json.loads((tmp_path / "run" / "bad_batches.jsonl").read_text())
    assert written == {"step": STEP, "lines": lines}
    assert checkpoints.load(tmp_path / "run" / "last")[1]["step"] == STEP - 2


@pytest.mark.parametrize("action", [pytest.param("skip", marks=pytest.mark.slow), "roll_back"])
def test_training_continues_after_a_non_finite_update(tmp_path, poisoned, action):
    config, _ = poisoned
    output = io.StringIO()
    config = changed(config, training__on_nan=action)
    figures = train(config, tmp_path / "run", stream=output)
    (line,) = [line for line in output.getvalue().splitlines() if "the loss is nan" in line]
    assert line.startswith(f"update {STEP}: ")
    state = checkpoints.load(tmp_path / "run" / "last")[1]
    back = f"; rolled back to update {STEP - 2}, continuing after this batch"
    assert line.endswith("; skipped" if action == "skip" else back)
    assert (figures["step"], state["step"]) == (24, 24)
    assert state["position"] == (24 if action == "skip" else 26)
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [12, 24]
    assert all(row["loss"] < 4 for row in read_metrics(tmp_path / "run"))


@pytest.mark.slow
def test_insufficient_memory_names_the_keys_to_lower(tmp_path, corpora, monkeypatch):
    def objectives(self):
        def objective(x, y, logits, weights):
            huge = tf.zeros(tf.cast(tf.shape(y)[0], tf.int64) * [2**20, 2**30], tf.float32)
            return tf.reduce_sum(logits) + huge[0, 0], 1.0

        return [objective]

    monkeypatch.setattr(Seq2Seq, "objectives", objectives)
    expected = r"^out of memory before update 1 at a tensor of shape\[.*\]; lower data.batch_tokens"
    expected += r" \(60\) \(half of it with training.accumulate=2 learns the same\), data.max_leng"
    with pytest.raises(UserError, match=expected) as caught:
        train(small_config(corpora), tmp_path / "run", stream=io.StringIO())
    assert "\n" not in str(caught.value)
