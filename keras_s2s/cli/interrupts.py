"""Ctrl-C that is never lost."""

import _thread
import contextlib
import sys
import threading

__all__ = ["redeliver_interrupts"]

SECONDS = 0.1


@contextlib.contextmanager
def redeliver_interrupts():
    """Within it an interrupt that Python drops, for it came inside a destructor, comes again."""
    before = sys.unraisablehook

    def hook(lost):
        if lost.exc_type is None or not issubclass(lost.exc_type, KeyboardInterrupt):
            before(lost)
            return
        again = threading.Timer(SECONDS, _thread.interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
