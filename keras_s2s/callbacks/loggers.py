"""What a run leaves to be read: metrics.jsonl and the curves of TensorBoard."""

import json
import math
from pathlib import Path

import keras
import tensorflow as tf

from keras_s2s.io import write_atomically

__all__ = ["JSONLLogger", "TensorBoardLogger"]


class JSONLLogger(keras.callbacks.Callback):
    """Appends every epoch's logs to a file, one JSON object a line.

    A session begins by making the file what the checkpoint says: lines of updates that were lost
    when the session before was cut off go, and a validation that was saved and not written comes.

    Args:
        path: the file, usually RUN/metrics.jsonl.
        course: the run's.
    """

    def __init__(self, path, course):
        super().__init__()
        self.path, self.course = Path(path), course

    def on_train_begin(self, logs=None):
        text = self.path.read_text("utf-8", "replace") if self.path.exists() else ""
        kept = [
            line for line in map(_parsed, text.splitlines()) if line["step"] <= self.course.step
        ]
        figures = self.course.state["figures"]
        if figures and all(line["step"] != figures["step"] for line in kept):
            kept.append(figures)
        if text or kept:
            write_atomically(self.path, "".join(map(_line, kept)))

    def on_epoch_end(self, epoch, logs=None):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(logs))


class TensorBoardLogger(keras.callbacks.Callback):
    """TensorBoard scalars: `directory`/train and `directory`/valid, by updates.

    `TensorBoardLogger("logs")` is all that the `fit` of a model of one's own needs. The norm is there of
    a model with `vitals`: one of ours on one replica gets them here, and its updates are then
    made as `configure_updates` says; one that runs eagerly is left alone.

    Args:
        directory: usually RUN/logs.
        course: the run's; without one the optimizer counts the updates.
        every: updates between two points of the training curves (loss and metrics since the last
            validation, learning rate, norm of the update's gradient before it is clipped); the
            end of an epoch is one too.
        texts: `texts()` gives {name: Markdown} to show beside the curves of a validation.
    """

    def __init__(self, directory, course=None, *, every=50, texts=None):
        super().__init__()
        self.directory, self.course, self.every = Path(directory), course, every
        self.texts = texts or dict
        self._writers, self._logs = {}, {}

    def set_model(self, model):
        # here and not when training begins: Keras makes its function of an update in between
        super().set_model(model)
        replicas = model.distribute_strategy.num_replicas_in_sync
        able = hasattr(model, "configure_updates") and replicas == 1 and not model.run_eagerly
        if able and model.update_stats is None and model.optimizer is not None:
            model.configure_updates()

    def on_train_batch_end(self, batch, logs=None):
        self._logs = dict(logs or {})
        if self._due():
            self._write_training()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self._logs:
            self._write_training()
        valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._write("valid", valid | self.texts())
        if "tokens_per_second" in logs:
            self._write("train", {"tokens_per_second": logs["tokens_per_second"]})

    def on_train_end(self, logs=None):
        while self._writers:
            self._writers.popitem()[1].close()

    def _write_training(self):
        values = {name: value for name, value in self._logs.items() if name != "tokens"}
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        vitals = getattr(self.model, "vitals", None)
        if vitals is not None and math.isfinite(norm := vitals.gradient_norm()):
            values["gradient_norm"] = norm
        self._write("train", values)
        self._logs = {}

    def _due(self):
        if self.course is not None:
            return self.course.due(self.every)
        return self._step() % self.every == 0

    def _step(self):
        return int(self.model.optimizer.iterations) if self.course is None else self.course.step

    def writer(self, name: str):
        """The open writer of `directory`/name: a run must have one alone."""
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self.directory / name))
        return self._writers[name]

    def _write(self, name, values):
        if not values:
            return
        with self.writer(name).as_default(step=self._step()):
            for key, value in values.items():
                write = tf.summary.text if isinstance(value, str) else tf.summary.scalar
                write(key, value)
        self.writer(name).flush()


def _parsed(line):
    """A line's figures; a damaged line counts as one of lost updates."""
    try:
        figures = json.loads(line)
        float(figures["step"])
        return figures
    except (ValueError, TypeError, KeyError):
        return {"step": math.inf}


def _line(figures):
    figures = {name: float(value) for name, value in figures.items()}
    return json.dumps({**figures, "step": int(figures["step"])}) + "\n"
