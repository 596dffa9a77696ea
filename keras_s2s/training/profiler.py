"""Profile of training updates: a trace for TensorBoard and a table of operations."""

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_s2s.callbacks import TrainingProgress

__all__ = ["OperationStats", "ProfilerCallback", "format_table", "read_trace"]

SKIPPED_UPDATES = 10  # updates of the session that compile and warm up
TRACED_UPDATES = 5
TABLE_ROWS = 12
OPERATION = re.compile(r"[^:]+:(\w+)")  # the name of a node and the kind of its operation
# Operations that only wait for the operations inside them.
CONTROL_FLOW = {
    "While",
    "StatelessWhile",
    "If",
    "StatelessIf",
    "PartitionedCall",
    "StatefulPartitionedCall",
}


class OperationStats(NamedTuple):
    """Total time of one kind of operation in a trace.

    Attributes:
        kind: TensorFlow's name, such as `_MklMatMul`.
        seconds: time over all threads.
        calls: number of calls.
    """

    kind: str
    seconds: float
    calls: int


class ProfilerCallback(keras.callbacks.Callback):
    """Traces some updates of a session with TensorFlow's profiler and prints the top operations.

    Args:
        directory: usually RUN/logs; the trace is written to `plugins/profile` in it.
        progress: the progress of the run, so that a short session is traced too.
        log: takes a line for the user.
    """

    def __init__(
        self, directory: Path | str, progress: TrainingProgress, log: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.directory, self.progress, self.log = Path(directory), progress, log
        self._updates = self._traced = 0
        self._is_running = self._is_done = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        left = self.progress.updates - self.progress.step
        self._first = min(SKIPPED_UPDATES, max(left - TRACED_UPDATES, 1), left - 1)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self._updates < self._first or self._is_running or self._is_done:
            return
        try:
            tf.profiler.experimental.start(str(self.directory))
            self._is_running = True
        except tf.errors.OpError as error:  # another profiler is running
            self._is_done = True
            self.log(f"profile: none, {error.message}")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._updates += 1
        if self._is_running:
            self.model.update_stats.read()  # waits for the update
            self._traced += 1
            if self._traced == TRACED_UPDATES:
                self.close()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends a running trace. Call it after `fit`, also when `fit` raises."""
        if not self._is_running:
            return
        self._is_running, self._is_done = False, True
        tf.profiler.experimental.stop()
        traces = self.directory.glob("plugins/profile/*/*.xplane.pb")
        path = max(traces, key=lambda trace: trace.stat().st_mtime)
        if self._traced:
            for line in format_table(read_trace(path), self._traced):
                self.log(line)
        self.log(f"profile: {self._traced} updates after {self._first}, {path}")


def read_trace(path: Path | str) -> list[OperationStats]:
    """The operations on the CPU in a `.xplane.pb` file, the longest first."""
    space = xplane_pb2.XSpace.FromString(Path(path).read_bytes())
    seconds: defaultdict[str, float] = defaultdict(float)
    calls: defaultdict[str, int] = defaultdict(int)
    for plane in space.planes:
        if not plane.name.endswith(":CPU"):
            continue
        kinds = {key: _kind(event.name) for key, event in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            if kind := kinds.get(event.metadata_id):
                seconds[kind] += event.duration_ps * 1e-12
                calls[kind] += 1
    operations = [OperationStats(kind, seconds[kind], calls[kind]) for kind in seconds]
    return sorted(operations, key=lambda operation: -operation.seconds)


def format_table(operations: list[OperationStats], updates: int) -> list[str]:
    """The top operations as lines; milliseconds and calls are those of one update."""
    total = sum(operation.seconds for operation in operations) or 1.0
    lines = [f"{'operation':<32} {'ms':>9} {'share':>7} {'calls':>7}"]
    for kind, seconds, calls in operations[:TABLE_ROWS]:
        ms, share = 1000 * seconds / updates, seconds / total
        lines.append(f"{kind:<32} {ms:>9.2f} {share:>7.1%} {calls / updates:>7.0f}")
    return lines


def _kind(name: str) -> str | None:
    match = OPERATION.fullmatch(name)
    return match[1] if match and match[1] not in CONTROL_FLOW else None
