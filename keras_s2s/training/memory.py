"""How much memory there is, how much the process takes, and how much it took at most."""

import contextlib
from pathlib import Path

import tensorflow as tf

__all__ = ["PeakMemory", "estimate_memory", "format_bytes", "free_memory", "model_memory"]

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SYSTEM = Path("/proc/meminfo")
# (limit, use) of a container, in version 2 and 1 of the kernel's control groups
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
UNITS = ("bytes", "kB", "MB", "GB", "TB")


class PeakMemory:
    """The most memory in use since it was made: the first GPU's, or this process' on a CPU.

    Where the system does not say (no Linux), every figure is 0.
    """

    def __init__(self):
        self._gpu = bool(tf.config.list_physical_devices("GPU"))
        if self._gpu:
            tf.config.experimental.reset_memory_stats("GPU:0")
        else:
            with contextlib.suppress(OSError):  # then the peak is that of the process' whole life
                RESET.write_text("5")

    def now(self) -> int:
        """Bytes in use."""
        return self._read("current", "VmRSS")

    def most(self) -> int:
        """Most bytes in use since then."""
        return self._read("peak", "VmHWM")

    def _read(self, gpu, cpu):
        if self._gpu:
            return tf.config.experimental.get_memory_info("GPU:0")[gpu]
        return _field(STATUS, cpu) or 0


def free_memory() -> int | None:
    """Bytes that training could take beside what the process holds; None where nobody knows.

    A GPU does not say: what does not fit there is refused by TensorFlow.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    found = [_field(SYSTEM, "MemAvailable")]
    for limit, use in GROUPS:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            found.append(int(Path(limit).read_text()) - int(Path(use).read_text()))
    known = [size for size in found if size is not None]
    return max(min(known), 0) if known else None


def estimate_memory(points, tokens: int) -> int:
    """The memory of a batch of `tokens`, on the line through the last two of (tokens, bytes)."""
    (x1, y1), (x2, y2) = points[-2:]
    return int(y2 + max(y2 - y1, 0) * (tokens - x2) / max(x2 - x1, 1))


def model_memory(model) -> dict:
    """Bytes of a compiled model's weights, their gradients and its optimizer's variables."""
    return {
        "weights": _bytes(model.weights),
        "gradients": _bytes(model.trainable_weights),
        "optimizer": _bytes(model.optimizer.variables),
    }


def format_bytes(size: float) -> str:
    """Bytes as people say them."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def _bytes(variables):
    return sum(
        tf.TensorShape(v.shape).num_elements() * tf.as_dtype(v.dtype).size for v in variables
    )


def _field(path, name):
    """Bytes of a line `name: N kB`; None where it does not stand."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None
