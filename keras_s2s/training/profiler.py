"""Where the time of an update goes: a trace for TensorBoard, and its top operations as a table."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_s2s.callbacks import TrainingProgress

__all__ = ["OperationStats", "ProfilerCallback", "format_table", "read_trace"]

AFTER = 10  # updates of the session that are left out: they compile and warm up
COUNT = 5  # updates that are traced
ROWS = 12  # of the table
OPERATION = re.compile(r"[^:]+:(\w+)")  # the name of a node, and the kind of its operation
# what only waits for the operations within it
OUTER = {
    "While",
    "StatelessWhile",
    "If",
    "StatelessIf",
    "PartitionedCall",
    "StatefulPartitionedCall",
}


class OperationStats(NamedTuple):
    """One kind of operation in a trace.

    Attributes:
        kind: as TensorFlow names it, such as `_MklMatMul`.
        seconds: over all threads together.
        calls: how often it ran.
    """

    kind: str
    seconds: float
    calls: int


class ProfilerCallback(keras.callbacks.Callback):
    """Traces some updates of this session with TensorFlow's profiler, and says the top operations.

    Args:
        directory: usually RUN/logs; the trace is below `plugins/profile` there.
        course: the run's, so that a short session is traced too.
        say: takes a line for the user.
    """

    def __init__(self, directory, course: TrainingProgress, say):
        super().__init__()
        self.directory, self.course, self.say = Path(directory), course, say
        self._made = self._traced = 0
        self._running = self._done = False

    def on_train_begin(self, logs=None):
        left = self.course.updates - self.course.step
        self._first = min(AFTER, max(left - COUNT, 1), left - 1)

    def on_train_batch_begin(self, batch, logs=None):
        if self._made < self._first or self._running or self._done:
            return
        try:
            tf.profiler.experimental.start(str(self.directory))
            self._running = True
        except tf.errors.OpError as error:  # another profiler runs
            self._done = True
            self.say(f"profile: none, {error.message}")

    def on_train_batch_end(self, batch, logs=None):
        self._made += 1
        if self._running:
            self.model.update_stats.read()  # waits for the update
            self._traced += 1
            if self._traced == COUNT:
                self.close()

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Ends a trace that runs; training calls it however `fit` ended."""
        if not self._running:
            return
        self._running, self._done = False, True
        tf.profiler.experimental.stop()
        traces = self.directory.glob("plugins/profile/*/*.xplane.pb")
        path = max(traces, key=lambda one: one.stat().st_mtime)
        if self._traced:
            for line in format_table(read_trace(path), self._traced):
                self.say(line)
        self.say(f"profile: {self._traced} updates after {self._first}, {path}")


def read_trace(path) -> list[OperationStats]:
    """What a `.xplane.pb` file knows of the operations on the CPU, the longest first."""
    space = xplane_pb2.XSpace.FromString(Path(path).read_bytes())
    seconds, calls = defaultdict(float), defaultdict(int)
    for plane in space.planes:
        if not plane.name.endswith(":CPU"):
            continue
        kinds = {key: _kind(one.name) for key, one in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            if kind := kinds.get(event.metadata_id):
                seconds[kind] += event.duration_ps * 1e-12
                calls[kind] += 1
    found = [OperationStats(kind, seconds[kind], calls[kind]) for kind in seconds]
    return sorted(found, key=lambda one: -one.seconds)


def format_table(operations: list[OperationStats], updates: int) -> list[str]:
    """The top operations as lines; milliseconds and calls are those of one update."""
    total = sum(one.seconds for one in operations) or 1.0
    lines = [f"{'operation':<32} {'ms':>9} {'share':>7} {'calls':>7}"]
    for one in operations[:ROWS]:
        ms, calls = 1000 * one.seconds / updates, one.calls / updates
        lines.append(f"{one.kind:<32} {ms:>9.2f} {one.seconds / total:>7.1%} {calls:>7.0f}")
    return lines


def _kind(name):
    found = OPERATION.fullmatch(name)
    return found[1] if found and found[1] not in OUTER else None
