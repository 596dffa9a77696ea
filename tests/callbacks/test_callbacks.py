"""Callbacks under a real `fit` of a small model: what they print, save, stop and write."""

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


def fit(watchers, *, learning_rate=0.1, valid=True):
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
        callbacks=watchers,
        verbose=0,
        shuffle=False,
    )


class Pause(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.05)


class LastLogs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.logs = dict(logs)


def test_target_tokens_counts_what_is_real():
    metric = callbacks.TargetTokens()
    metric.update_state(Y, None, WEIGHTS)
    metric.update_state(Y[:2], None)
    assert float(metric.result()) == WEIGHTS.sum() + 2 * T
    metric.reset_state()
    assert float(metric.result()) == 0


def test_progress_measures_the_speed_of_updates_alone():
    course, last = callbacks.TrainingProgress(20), LastLogs()
    progress = callbacks.ProgressBar(course, stream=io.StringIO())
    slow = callbacks.Validation(course, 10, lambda *_: time.sleep(0.3))
    fit([course, progress, Pause(), slow, last])
    tokens = WEIGHTS.sum()  # of the ten batches of an epoch, paused 0.05 s each
    assert tokens / 0.5 * 0.3 < last.logs["tokens_per_second"] <= tokens / 0.5
    assert "tokens" not in last.logs
    assert "val_tokens" not in last.logs


def test_progress_writes_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    course = callbacks.TrainingProgress(1500, state={"step": 1480})
    fit([course, callbacks.ProgressBar(course, stream=stream, interval=0.0)])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 19  # the first update compiles: no pace yet
    assert lines[0].startswith("update 1,482 of 1,500 (99%): loss ")
    assert re.fullmatch(
        r"update 1,500 of 1,500 \(100%\): loss \d\.\d+, [\d,]+ target tokens/s, 0 s left", lines[-1]
    )


def test_progress_is_quiet_between_two_lines():
    stream = io.StringIO()
    course = callbacks.TrainingProgress(20)
    fit([course, callbacks.ProgressBar(course, stream=stream, interval=60.0)])
    assert stream.getvalue() == ""


def test_progress_is_a_bar_on_a_terminal():
    stream = Terminal()
    course = callbacks.TrainingProgress(20)
    progress = callbacks.ProgressBar(course, stream=stream)
    fit([course, progress, callbacks.Validation(course, 5, lambda *_: None, say=progress.say)])
    assert "20/20" in stream.getvalue()
    assert re.search(r"update 20: validation loss \d\.\d+; the best so far\n", stream.getvalue())


def test_time_left_is_the_pace_of_the_session_with_its_validations():
    progress = callbacks.ProgressBar(callbacks.TrainingProgress(100, state={"step": 61}))
    assert math.isnan(progress.seconds_left(0.0))
    progress._made, progress._steady = 11, (10.0, 1)
    assert progress.seconds_left(30.0) == pytest.approx(39 * 2.0)
    assert [duration(s) for s in (8.4, 200, 7500, math.nan)] == [
        "8 s",
        "3 min 20 s",
        "2 h 5 min",
        "?",
    ]


class Saved(list):
    def __call__(self, state, is_best):
        self.append((state["step"], is_best, state["waited"]))
        self.state = state


def scores(*values):
    values = iter(values)
    return lambda: {"bleu": next(values)}


def test_the_best_is_decided_by_the_metric_and_patience_stops():
    saved, said, course = Saved(), [], callbacks.TrainingProgress(100)
    watcher = callbacks.Validation(
        course,
        5,
        saved,
        goal=callbacks.BestTracker("val_bleu", True, patience=2),
        say=said.append,
        score=scores(10.0, 30.0, 30.0, 20.0, 40.0),
    )
    fit([course, watcher])
    assert saved == [(5, True, 0), (10, True, 0), (15, False, 1), (20, False, 2)]
    assert (saved.state["best"], saved.state["best_step"]) == (30.0, 10)
    assert said[1].startswith("update 10: validation loss ")
    assert said[1].endswith("bleu 30; the best so far")
    assert (
        said[-1] == "stopped after 2 validations without a better bleu; the best was at update 10"
    )


def test_a_lower_loss_is_better_and_nothing_beats_not_a_number_by_accident():
    goal = callbacks.BestTracker()
    assert goal.better(0.9, 1.0)
    assert not goal.better(1.0, 1.0)
    assert not goal.better(math.nan, 1.0)
    assert goal.better(9.0, math.nan)
    assert goal.better(9.0, None)


def validated(updates, saved, state=None, every=5):
    course = callbacks.TrainingProgress(updates, state=state)
    fit([course, callbacks.Validation(course, every, saved)])
    return course


def test_training_stops_at_its_updates_and_goes_on_where_it_was():
    whole, first, second = Saved(), Saved(), Saved()
    validated(12, whole)
    assert [step for step, *_ in whole] == [5, 10, 12]
    validated(7, first)
    assert [step for step, *_ in first] == [5, 7]
    validated(12, second, first.state)
    assert [step for step, *_ in second] == [10, 12]
    assert second.state["validations"] == 4
    assert second.state["position"] == 12
    assert second.state["seconds"] > first.state["seconds"] > 0


def test_checkpoints_between_validations_keep_the_sums_of_the_epoch():
    course, taken, saved = callbacks.TrainingProgress(10), [], Saved()
    fit(
        [
            course,
            callbacks.Validation(course, 5, saved),
            callbacks.PeriodicCheckpoint(course, 2, taken.append),
        ]
    )
    assert [(state["step"], state["validations"]) for state in taken] == [
        (2, 0),
        (4, 0),
        (6, 1),
        (8, 1),
    ]
    total, count, tokens = (float(np.sum(one)) for one in taken[2]["sums"])
    assert (count, tokens) == (B, WEIGHTS[20:24].sum())  # the one update after the validation
    assert total > 0
    assert saved.state["sums"] == []
    assert json.loads(json.dumps(taken[2])) == taken[2]


def test_the_sums_of_an_unfinished_epoch_come_back():
    course, last = callbacks.TrainingProgress(2, state={"sums": [10.0, 4.0, 100.0]}), LastLogs()
    fit([course, last])
    assert last.logs["tokens"] == 100 + WEIGHTS[:8].sum()
    assert last.logs["loss"] > 10 / 12


def test_without_a_metric_the_latest_is_the_best():
    saved, said, course = Saved(), [], callbacks.TrainingProgress(10)
    goal = callbacks.BestTracker(metric=None)
    fit([course, callbacks.Validation(course, 5, saved, goal=goal, say=said.append)], valid=False)
    assert saved == [(5, True, 0), (10, True, 0)]
    assert re.fullmatch(r"update 10: training loss \d\.\d+", said[-1])


def test_a_loss_that_is_no_number_ends_training_and_saves_nothing():
    saved, course = Saved(), callbacks.TrainingProgress(10)
    message = "the loss became (nan|inf) before update 5; lower training.learning_rate, or set "
    with pytest.raises(UserError, match=message):
        fit([course, callbacks.Validation(course, 5, saved)], learning_rate=1e38)
    assert saved == []


def watch(tmp_path, updates, state=None):
    saved, course = Saved(), callbacks.TrainingProgress(updates, state=state)
    fit(
        [
            course,
            callbacks.ProgressBar(course, stream=io.StringIO()),
            callbacks.Validation(course, 5, saved, score=lambda: {"chrf": 12.5}),
            callbacks.JSONLLogger(tmp_path / "metrics.jsonl", course),
            callbacks.TensorBoardLogger(tmp_path / "logs", course, every=2),
        ]
    )
    return saved.state


def test_the_journal_has_a_line_for_each_validation_and_none_twice(tmp_path):
    state, journal = watch(tmp_path, 10), tmp_path / "metrics.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"step": 15, "loss": 9.0}\n\xff\n[1]\n{"step": 2')  # lost updates, damage
    watch(tmp_path, 20, state)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
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


def test_the_journal_gets_the_line_that_a_cut_off_session_saved_and_did_not_write(tmp_path):
    state, journal = watch(tmp_path, 10), tmp_path / "metrics.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n")
    course = callbacks.TrainingProgress(10, state=state)
    callbacks.JSONLLogger(journal, course).on_train_begin()
    assert list(map(json.loads, journal.read_text().splitlines())) == list(map(json.loads, lines))


def scalars(directory):
    events = EventAccumulator(str(directory), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)}
        for tag in events.Tags()["tensors"]
    }


def test_summaries_are_curves_over_updates(tmp_path):
    watch(tmp_path, 10)
    train, valid = scalars(tmp_path / "logs" / "train"), scalars(tmp_path / "logs" / "valid")
    assert set(train) == {"loss", "learning_rate", "tokens_per_second"}
    assert list(train["loss"]) == [2, 4, 5, 6, 8, 10]  # an epoch ends with update 5
    assert train["learning_rate"][4] == pytest.approx(0.1)
    assert set(valid) == {"loss", "chrf"}
    assert valid["chrf"] == {5: 12.5, 10: 12.5}
