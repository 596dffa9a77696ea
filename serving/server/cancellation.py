"""Cancellation of runs whose caller has gone."""

import threading
from collections.abc import Callable

__all__ = ["Cancellation"]


class Cancellation:
    """A flag that one thread sets and others read or are told of; it is never unset.

    Example:

    >>> from keras_s2s.serving.server.cancellation import Cancellation
    >>> cancellation = Cancellation()
    >>> cancellation.on_cancel(lambda: print("the run ends"))
    >>> cancellation.cancel()
    the run ends
    >>> cancellation.is_cancelled
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Sets the flag and calls the callbacks; further calls do nothing."""
        with self._lock:
            self._is_cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Registers a function that `cancel` calls; it is called now if that has happened."""
        with self._lock:
            if not self._is_cancelled:
                self._callbacks.append(callback)
                return
        callback()
