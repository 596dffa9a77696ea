"""What happens around the updates of `fit`: progress, validation, the best and the last, curves.

Nothing here knows the model it watches: what needs one comes in as a callable. All of them count
updates from the beginning of the run, so that a resumed training goes on counting. Give them to
`fit` in the order `Progress, Validate, Journal, Summaries`: each adds to the `logs` of an epoch
what the next ones use.
"""

import json
import math
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from keras_s2s.config import UserError, replace_file

__all__ = ["Journal", "Progress", "Summaries", "TargetTokens", "Validate"]


@keras.saving.register_keras_serializable("keras_s2s")
class TargetTokens(keras.metrics.Metric):
    """Counts the real target tokens since the last reset: the sum of sample_weight [B, T].

    `Progress` measures speed by it; give it to `compile(weighted_metrics=...)`.
    """

    def __init__(self, name="tokens", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        weights = tf.ones_like(y_true) if sample_weight is None else sample_weight
        self.total.assign_add(tf.reduce_sum(tf.cast(weights, tf.float32)))

    def result(self):
        return tf.convert_to_tensor(self.total)


class Progress(keras.callbacks.Callback):
    """Updates done and to do, loss, target tokens a second and the time left.

    A bar on a terminal, elsewhere a line every `interval` seconds. The speed is that of the
    updates alone, measured from the second one on (the first compiles); the time left counts
    validations too. Adds `tokens_per_second` to an epoch's logs in place of `tokens`.

    Args:
        updates: of the whole run.
        start: updates made before this session.
        stream: text stream, `sys.stderr` unless given.
        interval: seconds between two lines.
    """

    def __init__(self, updates, *, start=0, stream=None, interval=10.0):
        super().__init__()
        self.updates, self.done, self.interval = updates, start, interval
        self.stream = stream or sys.stderr
        self.tokens_per_second = 0.0
        self._bar = self._steady = None
        self._shown, self._window = time.monotonic(), (time.monotonic(), 0.0)

    def say(self, text: str):
        """Writes one line, above the bar when there is one."""
        if self._bar is None:
            self.stream.write(text + "\n")
            self.stream.flush()
        else:
            self._bar.write(text, file=self.stream)

    def close(self):
        """Takes the bar away; training calls it however `fit` ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_train_begin(self, logs=None):
        if self.stream.isatty():
            self._bar = tqdm(total=self.updates, initial=self.done, unit=" updates",
                             file=self.stream, dynamic_ncols=True)  # fmt: skip

    def on_epoch_begin(self, epoch, logs=None):
        self._window = (time.monotonic(), 0.0)

    def on_train_batch_end(self, batch, logs=None):
        now, tokens = time.monotonic(), float((logs or {}).get("tokens", 0.0))
        self.done += 1
        if self._steady is None:
            self._steady, self._window, self._shown = (now, self.done), (now, tokens), now
        elapsed = now - self._window[0]
        if elapsed > 0:
            self.tokens_per_second = (tokens - self._window[1]) / elapsed
        if self._bar is not None:
            self._bar.update(1)
        if now - self._shown >= (1.0 if self._bar is not None else self.interval) and elapsed > 0:
            self._shown = now
            self._show(now, float(logs.get("loss", math.nan)))

    def _show(self, now, loss):
        speed = f"loss {loss:.4g}, {self.tokens_per_second:,.0f} target tokens/s"
        if self._bar is not None:
            self._bar.set_postfix_str(speed)
            return
        share = f"update {self.done:,} of {self.updates:,} ({self.done / self.updates:.0%})"
        self.say(f"{share}: {speed}, {duration(self.seconds_left(now))} left")

    def seconds_left(self, now: float) -> float:
        """Seconds to the last update at this session's pace; NaN before the second update."""
        began, first = self._steady or (now, self.done)
        if self.done == first:
            return math.nan
        return (now - began) / (self.done - first) * max(0, self.updates - self.done)

    def on_epoch_end(self, epoch, logs=None):
        for name in ("tokens", "val_tokens"):
            logs.pop(name, None)
        logs["tokens_per_second"] = self.tokens_per_second

    def on_train_end(self, logs=None):
        self.close()


class Validate(keras.callbacks.Callback):
    """After each validation of `fit`: decode and score, save the last and the best, stop in time.

    Scores join the epoch's logs as `val_NAME`, with `step`, `learning_rate` and `seconds` (of
    training, over all sessions).

    Args:
        updates: of the whole run; training stops after them.
        save: `save(state, is_best)` writes checkpoints; `state` is what a later session gets.
        metric: the key of the logs that decides, such as `val_loss`; None: the latest is the best.
        higher_is_better: of that metric.
        score: `score()` decodes and gives {name: value}; None for no decoding.
        patience: validations without a better metric after which training stops; None: never.
        state: from the checkpoint that training resumes; {} at the beginning.
        say: takes a line for the user.

    Raises:
        UserError: the loss is not a number any more; nothing is saved then.
    """

    def __init__(self, updates, save, *, metric="val_loss", higher_is_better=False, score=None,
                 patience=None, state=None, say=None):  # fmt: skip
        super().__init__()
        self.updates, self.save, self.score = updates, save, score
        self.metric, self.higher_is_better, self.patience = metric, higher_is_better, patience
        fresh = {"step": 0, "validations": 0, "best": None, "best_step": 0, "waited": 0}
        self.state = {**fresh, "seconds": 0.0, "figures": {}, **(state or {})}
        self.step = self.state["step"]
        self.say = say or (lambda text: None)
        self._began = time.monotonic()

    def on_train_begin(self, logs=None):
        self._began = time.monotonic() - self.state["seconds"]

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step >= self.updates:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)
        if self.score is not None:
            logs.update({f"val_{name}": value for name, value in self.score().items()})
        logs["step"] = self.step
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = time.monotonic() - self._began
        is_best = self.better(logs)
        self._remember(logs, is_best)
        self.save(dict(self.state), is_best)
        self.say(_summary(logs) + ("; the best so far" if is_best and self.metric else ""))
        if self.exhausted():
            self.model.stop_training = True
            waited = f"{self.state['waited']} validations without a better {self.metric[4:]}"
            self.say(f"stopped after {waited}; the best was at update {self.state['best_step']:,}")

    def better(self, logs) -> bool:
        """Whether these logs beat the best so far."""
        best = self.state["best"]
        if self.metric is None or best is None or math.isnan(best):
            return True
        value = logs[self.metric]
        return value > best if self.higher_is_better else value < best

    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.state["waited"] >= self.patience

    def _check(self, logs):
        loss = logs.get("loss", 0.0)
        if not math.isfinite(loss):
            advice = "lower training.learning_rate, or set training.clip_norm or a longer warmup"
            raise UserError(f"the loss became {loss} before update {self.step:,}; {advice}")

    def _remember(self, logs, is_best):
        figures = {name: float(value) for name, value in logs.items()}
        new = {"step": self.step, "validations": self.state["validations"] + 1,
               "waited": 0 if is_best else self.state["waited"] + 1,
               "seconds": logs["seconds"], "figures": figures}  # fmt: skip
        if is_best:
            new |= {"best": logs.get(self.metric), "best_step": self.step}
        self.state |= new


class Journal(keras.callbacks.Callback):
    """Appends every epoch's logs to a file, one JSON object a line.

    Args:
        path: the file, usually RUN/metrics.jsonl.
        start: updates made before; lines beyond them are of updates lost when the session before
            was cut off, and go.
    """

    def __init__(self, path, *, start=0):
        super().__init__()
        self.path, self.start = Path(path), start

    def on_train_begin(self, logs=None):
        if self.path.exists():
            kept = [line for line in self.path.read_text().splitlines() if self._keeps(line)]
            replace_file(self.path, "".join(line + "\n" for line in kept))

    def _keeps(self, line):
        try:
            return json.loads(line)["step"] <= self.start
        except (ValueError, KeyError, TypeError):
            return False

    def on_epoch_end(self, epoch, logs=None):
        figures = {name: float(value) for name, value in logs.items()}
        figures["step"] = int(figures["step"])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")


class Summaries(keras.callbacks.Callback):
    """TensorBoard scalars: `directory`/train and `directory`/valid, by updates.

    Args:
        directory: usually RUN/logs.
        start: updates made before.
        every: updates between two points of the training curves (loss and metrics since the last
            validation, learning rate).
    """

    def __init__(self, directory, *, start=0, every=50):
        super().__init__()
        self.directory, self.step, self.every = Path(directory), start, every
        self._writers = {}

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % self.every == 0:
            values = {name: value for name, value in logs.items() if name != "tokens"}
            rate = float(self.model.optimizer.learning_rate)
            self._write("train", {**values, "learning_rate": rate})

    def on_epoch_end(self, epoch, logs=None):
        valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        self._write("valid", valid)
        self._write("train", {"tokens_per_second": logs.get("tokens_per_second", 0.0)})

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()

    def _write(self, name, values):
        if not values:
            return
        if name not in self._writers:
            self._writers[name] = tf.summary.create_file_writer(str(self.directory / name))
        with self._writers[name].as_default(step=self.step):
            for key, value in values.items():
                tf.summary.scalar(key, value)
        self._writers[name].flush()


def duration(seconds: float) -> str:
    """Seconds as people say them: 8 s, 3 min 20 s, 2 h 5 min; `?` for NaN."""
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _summary(logs):
    """One line: the validation's figures, or training's where there is none."""
    valid = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
    side = "validation" if valid else "training"
    known = ("loss", "accuracy", "perplexity")
    chosen = {name: (valid or logs)[name] for name in known if name in (valid or logs)} | valid
    figures = ", ".join(f"{name} {value:.4g}" for name, value in chosen.items())
    return f"update {logs['step']:,}: {side} {figures}"
