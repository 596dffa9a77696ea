"""Serving of a model in the foreground until a signal arrives."""

import logging
import os
import queue
import signal
import sys

from keras_s2s.serving.server.server import Server

__all__ = ["serve"]


def serve(
    model_name: str,
    model_base_path: str | os.PathLike[str],
    port: int = 8500,
    *,
    host: str = "0.0.0.0",
    poll_seconds: float = 1.0,
    drain_seconds: float = 30.0,
    prefer_tflite_model: bool = False,
    xla_cpu_compilation_enabled: bool = False,
) -> None:
    """Serves a model until SIGTERM or SIGINT, waits for calls in progress and returns.

    When the model is available it prints one line, `serving NAME version V at localhost:PORT`;
    later events are logged to the standard error. Call it from the main thread, the only one that
    receives signals.

    Args:
        model_name: name of the model for clients.
        model_base_path: the directory that holds the versions `1/`, `2/`, ...
        port: gRPC port; 0 uses a free port.
        host: address to listen on.
        poll_seconds: interval between looks for new versions.
        drain_seconds: time to wait for calls in progress at the end.
        prefer_tflite_model, xla_cpu_compilation_enabled: as for `Server`.

    Raises:
        StartError: if the port is in use or the base path has no model that loads.

    Example:

    ```python
    serve("pronounce", "export/pronounce")
    ```
    """
    # A SimpleQueue, unlike an Event, is safe to use in a signal handler.
    stop: queue.SimpleQueue[None] = queue.SimpleQueue()
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, lambda *_: stop.put(None)) for number in signals}
    server = Server(
        model_name,
        model_base_path,
        port,
        host=host,
        poll_seconds=poll_seconds,
        drain_seconds=drain_seconds,
        prefer_tflite_model=prefer_tflite_model,
        xla_cpu_compilation_enabled=xla_cpu_compilation_enabled,
    )
    try:
        _log_to_stderr()
        with server:
            if stop.empty():
                _print(f"serving {model_name} version {server.version} at {server.address}")
            stop.get()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _log_to_stderr() -> None:
    """Shows the loading and unloading of versions to the operator of the server."""
    log = logging.getLogger("keras_s2s.serving")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
