"""Memory use and free memory."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

__all__ = ["PeakMemory", "estimate_memory", "format_bytes", "free_memory", "model_memory"]

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SYSTEM = Path("/proc/meminfo")
# (limit, use) of a container, in version 2 and version 1 of control groups
CONTROL_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
UNITS = ("bytes", "kB", "MB", "GB", "TB")


class PeakMemory:
    """The largest memory use since construction: of the first GPU, or of this process on a CPU.

    All figures are 0 on systems that do not report memory (other than Linux).
    """

    def __init__(self) -> None:
        self._has_gpu = bool(tf.config.list_physical_devices("GPU"))
        if self._has_gpu:
            tf.config.experimental.reset_memory_stats("GPU:0")
        else:
            with contextlib.suppress(OSError):  # the peak is then that of the whole process
                RESET.write_text("5")

    def current(self) -> int:
        """Bytes in use."""
        return self._read("current", "VmRSS")

    def maximum(self) -> int:
        """The largest number of bytes in use since construction."""
        return self._read("peak", "VmHWM")

    def _read(self, gpu_key: str, cpu_key: str) -> int:
        if self._has_gpu:
            return tf.config.experimental.get_memory_info("GPU:0")[gpu_key]
        return _read_field(STATUS, cpu_key) or 0


def free_memory() -> int | None:
    """Bytes that this process can use in addition; None when unknown.

    A GPU does not report it; TensorFlow raises an error when its memory is used up.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    sizes = [_read_field(SYSTEM, "MemAvailable")]
    for limit, use in CONTROL_GROUPS:
        with contextlib.suppress(OSError, ValueError):  # the limit is "max": none
            sizes.append(int(Path(limit).read_text()) - int(Path(use).read_text()))
    known = [size for size in sizes if size is not None]
    return max(min(known), 0) if known else None


def estimate_memory(measured: list[tuple[int, int]], tokens: int) -> int:
    """The memory of a batch, on the line through the last two measured (tokens, bytes).

    Example:

    >>> from keras_s2s.training.memory import estimate_memory
    >>> estimate_memory([(10, 100), (20, 150)], tokens=40)
    250
    """
    (x1, y1), (x2, y2) = measured[-2:]
    return int(y2 + max(y2 - y1, 0) * (tokens - x2) / max(x2 - x1, 1))


def model_memory(model: keras.Model) -> dict[str, int]:
    """Bytes of a compiled model's weights, of their gradients and of the optimizer's variables."""
    return {
        "weights": _total_bytes(model.weights),
        "gradients": _total_bytes(model.trainable_weights),
        "optimizer": _total_bytes(model.optimizer.variables),
    }


def format_bytes(size: float) -> str:
    """Formats a number of bytes with three digits and a unit.

    Example:

    >>> from keras_s2s.training.memory import format_bytes
    >>> format_bytes(2_500_000_000)
    '2.5 GB'
    """
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def _total_bytes(variables: Iterable[keras.Variable]) -> int:
    return sum(
        tf.TensorShape(v.shape).num_elements() * tf.as_dtype(v.dtype).size for v in variables
    )


def _read_field(path: Path, name: str) -> int | None:
    """Bytes of a line `name: N kB`; None when there is no such line."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None
