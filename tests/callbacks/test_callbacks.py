"""Callbacks in a real `fit` of a small model: output, checkpoints, stopping and logs."""

import io
import json
import math
import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_s2s import callbacks, schedules
from keras_s2s.callbacks.duration import duration
from keras_s2s.errors import UserError

B, T, V = 4, 6, 5
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, T, 3)).astype("float32")
Y = RANDOM.integers(0, V, size=(40, T))
WEIGHTS = (np.arange(T)[None] < RANDOM.integers(1, T + 1, size=(40, 1))).astype("float32")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fit(callback_list, *, learning_rate=0.1, valid=True):
    model = keras.Sequential([keras.Input((T, 3)), keras.layers.Dense(V)])
    model.compile(
        keras.optimizers.SGD(schedules.Constant(learning_rate)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[callbacks.TargetTokens()],
        jit_compile=False,
    )
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).batch(B)
    return model.fit(
        data.repeat(),
        epochs=10,
        steps_per_epoch=100,
        validation_data=data if valid else None,
        callbacks=callback_list,
        verbose=0,
        shuffle=False,
    )


class Pause(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.05)


class LastLogs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.logs = dict(logs)


def test_target_tokens_counts_real_tokens():
    metric = callbacks.TargetTokens()
    metric.update_state(Y, None, WEIGHTS)
    metric.update_state(Y[:2], None)
    assert float(metric.result()) == WEIGHTS.sum() + 2 * T
    metric.reset_state()
    assert float(metric.result()) == 0


def test_speed_excludes_validations():
    progress, last = callbacks.TrainingProgress(20), LastLogs()
    bar = callbacks.ProgressBar(progress, stream=io.StringIO())
    slow = callbacks.Validation(progress, 10, lambda *_: time.sleep(0.3))
    fit([progress, bar, Pause(), slow, last])
    tokens = WEIGHTS.sum()  # of the ten batches of an epoch, paused 0.05 s each
    assert tokens / 0.5 * 0.3 < last.logs["tokens_per_second"] <= tokens / 0.5
    assert "tokens" not in last.logs
    assert "val_tokens" not in last.logs


def test_progress_bar_writes_lines_without_a_terminal():
    stream = io.StringIO()
    progress = callbacks.TrainingProgress(1500, state={"step": 1480})
    fit([progress, callbacks.ProgressBar(progress, stream=stream, interval=0.0)])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 19  # the first update compiles, so there is no pace yet
    assert lines[0].startswith("update 1,482 of 1,500 (99%): loss ")
    assert re.fullmatch(
        r"update 1,500 of 1,500 \(100%\): loss \d\.\d+, [\d,]+ target tokens/s, 0 s left", lines[-1]
    )


def test_progress_bar_is_silent_between_two_lines():
    stream = io.StringIO()
    progress = callbacks.TrainingProgress(20)
    fit([progress, callbacks.ProgressBar(progress, stream=stream, interval=60.0)])
    assert stream.getvalue() == ""


def test_progress_bar_on_a_terminal():
    stream = Terminal()
    progress = callbacks.TrainingProgress(20)
    bar = callbacks.ProgressBar(progress, stream=stream)
    fit([progress, bar, callbacks.Validation(progress, 5, lambda *_: None, log=bar.write)])
    assert "20/20" in stream.getvalue()
    assert re.search(r"update 20: validation loss \d\.\d+; the best so far\n", stream.getvalue())


def test_time_left_follows_the_pace_of_the_session_with_validations():
    bar = callbacks.ProgressBar(callbacks.TrainingProgress(100, state={"step": 61}))
    assert math.isnan(bar.seconds_left(0.0))
    bar._updates, bar._start = 11, (10.0, 1)
    assert bar.seconds_left(30.0) == pytest.approx(39 * 2.0)
    assert [duration(s) for s in (8.4, 200, 7500, math.nan)] == [
        "8 s",
        "3 min 20 s",
        "2 h 5 min",
        "?",
    ]


class SavedCheckpoints(list):
    def __call__(self, state, is_best):
        self.append((state["step"], is_best, state["waited"]))
        self.state = state


def scores(*values):
    values = iter(values)
    return lambda: {"bleu": next(values)}


def test_the_best_is_decided_by_the_metric_and_patience_stops():
    saved, messages, progress = SavedCheckpoints(), [], callbacks.TrainingProgress(100)
    validation = callbacks.Validation(
        progress,
        5,
        saved,
        tracker=callbacks.BestTracker("val_bleu", True, patience=2),
        log=messages.append,
        score=scores(10.0, 30.0, 30.0, 20.0, 40.0),
    )
    fit([progress, validation])
    assert saved == [(5, True, 0), (10, True, 0), (15, False, 1), (20, False, 2)]
    assert (saved.state["best"], saved.state["best_step"]) == (30.0, 10)
    assert messages[1].startswith("update 10: validation loss ")
    assert messages[1].endswith("bleu 30; the best so far")
    assert (
        messages[-1]
        == "stopped after 2 validations without a better bleu; the best was at update 10"
    )


def test_is_better_compares_losses_and_handles_nan_and_none():
    tracker = callbacks.BestTracker()
    assert tracker.is_better(0.9, 1.0)
    assert not tracker.is_better(1.0, 1.0)
    assert not tracker.is_better(math.nan, 1.0)
    assert tracker.is_better(9.0, math.nan)
    assert tracker.is_better(9.0, None)


def fit_and_validate(updates, saved, state=None, every=5):
    progress = callbacks.TrainingProgress(updates, state=state)
    fit([progress, callbacks.Validation(progress, every, saved)])
    return progress


def test_training_stops_at_its_updates_and_resumes():
    complete, first, second = SavedCheckpoints(), SavedCheckpoints(), SavedCheckpoints()
    fit_and_validate(12, complete)
    assert [step for step, *_ in complete] == [5, 10, 12]
    fit_and_validate(7, first)
    assert [step for step, *_ in first] == [5, 7]
    fit_and_validate(12, second, first.state)
    assert [step for step, *_ in second] == [10, 12]
    assert second.state["validations"] == 4
    assert second.state["position"] == 12
    assert second.state["seconds"] > first.state["seconds"] > 0


def test_checkpoints_between_validations_store_the_metrics_of_the_epoch():
    progress, snapshots, saved = callbacks.TrainingProgress(10), [], SavedCheckpoints()
    fit(
        [
            progress,
            callbacks.Validation(progress, 5, saved),
            callbacks.PeriodicCheckpoint(progress, 2, snapshots.append),
        ]
    )
    assert [(state["step"], state["validations"]) for state in snapshots] == [
        (2, 0),
        (4, 0),
        (6, 1),
        (8, 1),
    ]
    total, count, tokens = (float(np.sum(value)) for value in snapshots[2]["sums"])
    assert (count, tokens) == (B, WEIGHTS[20:24].sum())  # the one update after the validation
    assert total > 0
    assert saved.state["sums"] == []
    assert json.loads(json.dumps(snapshots[2])) == snapshots[2]


def test_metrics_of_an_unfinished_epoch_are_restored():
    progress, last = callbacks.TrainingProgress(2, state={"sums": [10.0, 4.0, 100.0]}), LastLogs()
    fit([progress, last])
    assert last.logs["tokens"] == 100 + WEIGHTS[:8].sum()
    assert last.logs["loss"] > 10 / 12


def test_without_a_metric_the_latest_is_the_best():
    saved, messages, progress = SavedCheckpoints(), [], callbacks.TrainingProgress(10)
    tracker = callbacks.BestTracker(metric=None)
    fit(
        [progress, callbacks.Validation(progress, 5, saved, tracker=tracker, log=messages.append)],
        valid=False,
    )
    assert saved == [(5, True, 0), (10, True, 0)]
    assert re.fullmatch(r"update 10: training loss \d\.\d+", messages[-1])


def test_a_non_finite_loss_ends_training_and_saves_nothing():
    saved, progress = SavedCheckpoints(), callbacks.TrainingProgress(10)
    message = "the loss became (nan|inf) before update 5; lower training.learning_rate, or set "
    with pytest.raises(UserError, match=message):
        fit([progress, callbacks.Validation(progress, 5, saved)], learning_rate=1e38)
    assert saved == []


def fit_with_loggers(tmp_path, updates, state=None):
    saved, progress = SavedCheckpoints(), callbacks.TrainingProgress(updates, state=state)
    fit(
        [
            progress,
            callbacks.ProgressBar(progress, stream=io.StringIO()),
            callbacks.Validation(progress, 5, saved, score=lambda: {"chrf": 12.5}),
            callbacks.JSONLLogger(tmp_path / "metrics.jsonl", progress),
            callbacks.TensorBoardLogger(tmp_path / "logs", progress, every=2),
        ]
    )
    return saved.state


def test_jsonl_logger_writes_one_line_per_validation(tmp_path):
    state, path = fit_with_loggers(tmp_path, 10), tmp_path / "metrics.jsonl"
    with path.open("ab") as file:
        file.write(
            b'{"step": 15, "loss": 9.0}\n\xff\n[1]\n{"step": 2'
        )  # lost updates and damaged lines
    fit_with_loggers(tmp_path, 20, state)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert set(lines[-1]) == {
        "step",
        "loss",
        "val_loss",
        "val_chrf",
        "learning_rate",
        "seconds",
        "tokens_per_second",
    }
    assert lines[-1]["val_chrf"] == 12.5
    assert lines[-1]["learning_rate"] == pytest.approx(0.1)


def test_jsonl_logger_adds_the_line_of_an_interrupted_session(tmp_path):
    state, path = fit_with_loggers(tmp_path, 10), tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n")
    progress = callbacks.TrainingProgress(10, state=state)
    callbacks.JSONLLogger(path, progress).on_train_begin()
    assert list(map(json.loads, path.read_text().splitlines())) == list(map(json.loads, lines))


def scalars(directory):
    events = EventAccumulator(str(directory), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)}
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_curves_are_over_updates(tmp_path):
    fit_with_loggers(tmp_path, 10)
    train, valid = scalars(tmp_path / "logs" / "train"), scalars(tmp_path / "logs" / "valid")
    assert set(train) == {"loss", "learning_rate", "tokens_per_second"}
    assert list(train["loss"]) == [2, 4, 5, 6, 8, 10]  # an epoch ends with update 5
    assert train["learning_rate"][4] == pytest.approx(0.1)
    assert set(valid) == {"loss", "chrf"}
    assert valid["chrf"] == {5: 12.5, 10: 12.5}
