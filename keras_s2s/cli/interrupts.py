"""Keyboard interrupts that Python does not lose."""

import _thread
import contextlib
import sys
import threading
from collections.abc import Iterator

__all__ = ["redeliver_interrupts"]

SECONDS = 0.1


@contextlib.contextmanager
def redeliver_interrupts() -> Iterator[None]:
    """Raises a KeyboardInterrupt again that Python dropped because a destructor was running."""
    previous_hook = sys.unraisablehook

    def hook(unraisable):
        if unraisable.exc_type is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            previous_hook(unraisable)
            return
        timer = threading.Timer(SECONDS, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = previous_hook
