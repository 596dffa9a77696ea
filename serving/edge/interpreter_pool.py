"""LiteRT interpreters of one model, shared by threads."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["TIME_OVER", "InterpreterPool", "SignatureRunners"]

TIME_OVER = "the time is over"


class SignatureRunners(dict[str, Callable[..., dict[str, Any]]]):
    """Signature runners of one interpreter by name, created on first access.

    Args:
        content: content of the LiteRT file.
        threads: number of threads of an operation.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        super().__init__()
        self._interpreter = Interpreter(model_content=content, num_threads=threads)

    def __missing__(self, signature: str) -> Callable[..., dict[str, Any]]:
        self[signature] = self._interpreter.get_signature_runner(signature)
        return self[signature]


class InterpreterPool:
    """A fixed number of interpreters; the first is created now, the others when needed.

    A call's state is in its inputs and outputs, so any interpreter serves any call.

    Args:
        content: content of the LiteRT file.
        threads: number of threads of an operation.
        size: number of interpreters.

    Raises:
        ValueError, RuntimeError: if LiteRT cannot read the content.
    """

    def __init__(self, content: bytes, threads: int, size: int) -> None:
        self._content, self._threads = content, threads
        # Last in, first out: an interpreter in use before is ready. None creates one.
        self._free: queue.LifoQueue[SignatureRunners | None] = queue.LifoQueue()
        for _ in range(size - 1):
            self._free.put(None)
        self._free.put(SignatureRunners(content, threads))

    @contextlib.contextmanager
    def borrow(self, timeout: float | None = None) -> Iterator[SignatureRunners]:
        """Reserves an interpreter; after an error it is replaced by a new one.

        Args:
            timeout: time to wait for a free interpreter in seconds; None waits without limit.

        Raises:
            TimeoutError: if none is free by then.
        """
        try:
            runners = self._free.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(TIME_OVER) from None
        reusable = None
        try:
            runners = runners or SignatureRunners(self._content, self._threads)
            yield runners
            reusable = runners
        finally:
            self._free.put(reusable)
