"""Metrics of every validation as JSON lines."""

import math
from pathlib import Path
from typing import Any

import keras

from keras_s2s.callbacks.training_progress import TrainingProgress
from keras_s2s.io import write_atomically
from keras_s2s.signatures.json_text import dump_json, load_json

__all__ = ["JSONLLogger"]


class JSONLLogger(keras.callbacks.Callback):
    """Appends the logs of every epoch to a file, one JSON object per line.

    When a session begins, the file is made consistent with the checkpoint: lines of updates that
    an interruption lost are removed, and a validation that was saved but not logged is added.

    Args:
        path: the file, usually RUN/metrics.jsonl.
        progress: the progress of the run.
    """

    def __init__(self, path: Path | str, progress: TrainingProgress) -> None:
        super().__init__()
        self.path, self.progress = Path(path), progress

    def on_train_begin(self, logs: dict | None = None) -> None:
        text = self.path.read_text("utf-8", "replace") if self.path.exists() else ""
        rows = [_parse(line) for line in text.splitlines()]
        rows = [row for row in rows if row["step"] <= self.progress.step]
        figures = self.progress.state["figures"]
        if figures and all(row["step"] != figures["step"] for row in rows):
            rows.append(figures)
        if text or rows:
            write_atomically(self.path, "".join(map(_format, rows)))

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_format(logs))


def _parse(line: str) -> dict[str, Any]:
    """The figures of a line; a damaged line counts as one of lost updates."""
    try:
        figures = load_json(line)
        float(figures["step"])
        return figures
    except (ValueError, TypeError, KeyError):
        return {"step": math.inf}


def _format(figures: dict[str, Any]) -> str:
    figures = {name: float(value) for name, value in figures.items()}
    return dump_json({**figures, "step": int(figures["step"])}) + "\n"
