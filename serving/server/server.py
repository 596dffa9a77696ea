"""The embedded server: TensorFlow Serving's gRPC interface over one model, in a Python process."""

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc

from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server.model_loader import FILE, ModelLoader
from keras_s2s.serving.server.servicer import Servicer, add_servicer
from keras_s2s.serving.server.version_directories import find_versions
from keras_s2s.serving.server.versions import ModelVersions

__all__ = ["Server", "serve"]

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),  # or two servers would share one port in silence
)
_THREADS_A_CORE = 4


class Server:
    """A server in this process: `start` it and `stop` it, or use it in a `with` block.

    It loads the highest version below the base path, then opens the port, then looks for newer
    versions at every poll.

    Args:
        model_name: what clients call the model.
        model_base_path: the directory that holds its versions, `1/`, `2/`, ...
        port: the port of gRPC; 0 takes a free one.
        host: the address to listen on; the default is every interface, as TensorFlow Serving's.
        poll_seconds: how often to look for new versions.
        drain_seconds: how long `stop` waits for calls under way.
        prefer_tflite_model: a version that has a `model.tflite` is served by it, and one that has
            none by its SavedModel. Without the latter no TensorFlow is loaded.
        xla_cpu_compilation_enabled: True: versions may have functions that XLA compiles, which they
            do before they are served. False: XLA is off for the whole process and such versions
            are refused, as in TensorFlow Serving. None: neither.

    Attributes:
        port: the port that is open, once it has started.
        version: the version that it started with.

    Raises:
        StartError: by `start`, if the port is in use or the base path has no model that loads.
    """

    def __init__(
        self,
        model_name: str,
        model_base_path: str | os.PathLike,
        port: int = 8500,
        *,
        host: str = "0.0.0.0",
        poll_seconds: float = 1.0,
        drain_seconds: float = 30.0,
        prefer_tflite_model: bool = False,
        xla_cpu_compilation_enabled: bool | None = None,
    ):
        self.model_name = model_name
        self.model_base_path = Path(model_base_path).absolute()
        self.port = port
        self.host = host
        self.poll_seconds = poll_seconds
        self.drain_seconds = drain_seconds
        self.version = None
        self._load = ModelLoader(prefer_tflite_model, xla_cpu_compilation_enabled)
        self._stopping = threading.Event()
        self._started = contextlib.ExitStack()  # what `stop` undoes

    @property
    def address(self) -> str:
        """Where a client in the same machine finds it."""
        return f"localhost:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        """Loads the model and opens the port."""
        self._check()
        self._stopping.clear()
        models = ModelVersions(self.model_name, self.model_base_path, self._load)
        with contextlib.ExitStack() as started:
            started.callback(models.close)
            self.version = self._load_first(models)
            started.callback(self._listen(models))
            watcher = threading.Thread(target=self._watch, args=(models,), daemon=True)
            started.callback(watcher.join)
            started.callback(self._stopping.set)
            watcher.start()
            self._started = started.pop_all()

    def stop(self) -> None:
        """Refuses new calls, waits for those under way, frees the model."""
        self._started.close()

    def _check(self):
        if not self.model_name:
            raise StartError("model_name must not be empty")
        _check_base_path(self.model_base_path)
        _check_port(self.host, self.port)

    def _load_first(self, models):
        models.poll()
        newest = models.list()[0]
        if newest.model is None:
            problem = " ".join(newest.message.split())
            found = find_versions(self.model_base_path).get(newest.number)
            if found and (found / FILE).is_file() and not self._load.prefer_tflite_model:
                problem += f" (prefer_tflite_model would serve its {FILE})"
            raise StartError(
                f"version {newest.number} in {self.model_base_path} does not load: {problem}"
            )
        return newest.number

    def _listen(self, models):
        """Opens the port; returns what closes it."""
        workers = futures.ThreadPoolExecutor(_THREADS_A_CORE * (os.cpu_count() or 1))
        server = grpc.server(workers, options=_OPTIONS)
        add_servicer(server, Servicer({models.name: models}))
        try:
            self.port = server.add_insecure_port(f"{self.host}:{self.port}")
        except RuntimeError as error:
            raise StartError(f"port {self.port} cannot be opened: {error}") from error
        server.start()

        def close():
            server.stop(self.drain_seconds).wait()
            workers.shutdown()

        return close

    def _watch(self, models):
        while not self._stopping.wait(self.poll_seconds):
            models.poll()


def _check_base_path(path):
    if not path.is_dir():
        what = "is not a directory" if path.exists() else "does not exist"
        raise StartError(f"model_base_path {path} {what}")
    try:
        if find_versions(path):
            return
    except OSError as error:
        raise StartError(f"model_base_path {path} cannot be read: {error.strerror}") from error
    hint = f"expected a directory named by a number, such as {path / '1'}"
    if (path / "saved_model.pb").is_file():
        hint = f"it is itself a version: give the directory above it, {path.parent}"
    raise StartError(f"model_base_path {path} holds no version: {hint}")


def _check_port(host, port):
    """Tells early, before a model loads, and plainly, what gRPC would say late and at length."""
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise StartError(f"port must be a whole number from 0 to 65535, not {port!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise StartError(f"port {port} on {host} cannot be opened: {error.strerror}") from error


def serve(
    model_name: str,
    model_base_path: str | os.PathLike,
    port: int = 8500,
    *,
    host: str = "0.0.0.0",
    poll_seconds: float = 1.0,
    drain_seconds: float = 30.0,
    prefer_tflite_model: bool = False,
    xla_cpu_compilation_enabled: bool = False,
) -> None:
    """Serves a model until SIGTERM or SIGINT, then lets calls under way end and returns.

    When it can answer it prints one line: `serving NAME version V at localhost:PORT`; what
    happens later goes to the standard error. Call it from the main thread: signals reach no other.

    Args:
        model_name: what clients call the model.
        model_base_path: the directory that holds its versions, `1/`, `2/`, ...
        port: the port of gRPC; 0 takes a free one.
        host: the address to listen on.
        poll_seconds: how often to look for new versions.
        drain_seconds: how long to wait for calls under way at the end.
        prefer_tflite_model, xla_cpu_compilation_enabled: as for `Server`.

    Raises:
        StartError: if the port is in use or the base path has no model that loads.
    """
    stop = queue.SimpleQueue()  # unlike an Event, safe to use in a signal handler
    kinds = (signal.SIGTERM, signal.SIGINT)
    previous = {kind: signal.signal(kind, lambda *_: stop.put(None)) for kind in kinds}
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
                _say(f"serving {model_name} version {server.version} at {server.address}")
            stop.get()
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)


def _log_to_stderr():
    """Makes the coming and going of versions visible to whoever runs the server."""
    log = logging.getLogger("keras_s2s.serving")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
