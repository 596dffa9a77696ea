"""Messages for the user."""

import sys
import time
from collections.abc import Callable

__all__ = ["PairCounter", "write_to_stderr"]

INTERVAL = 10.0  # seconds between two messages of a counter


def write_to_stderr(text: str) -> None:
    """Writes a line to `sys.stderr`."""
    sys.stderr.write(text + "\n")


class PairCounter:
    """Reports every ten seconds how many pairs of a corpus are read.

    Args:
        name: the key of the corpus.
        log: takes a line for the user.
    """

    def __init__(self, name: str, log: Callable[[str], None]) -> None:
        self.name, self.log, self._last_logged = name, log, time.monotonic()

    def __call__(self, pairs: int) -> None:
        if time.monotonic() - self._last_logged > INTERVAL:
            self._last_logged = time.monotonic()
            self.log(f"{self.name}: {pairs:,} pairs read")
