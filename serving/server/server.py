"""gRPC server with TensorFlow Serving's interface for one model, in a Python process."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server.edge_model import MODEL_FILE
from keras_s2s.serving.server.model_loader import ModelLoader
from keras_s2s.serving.server.servicer import Servicer, add_servicer
from keras_s2s.serving.server.versions import ModelVersions
from keras_s2s.signatures.version_directories import is_saved_model, list_versions

__all__ = ["Server"]

_SERVER_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.so_reuseport", 0),  # otherwise two servers could share one port without an error
)
_THREADS_PER_CORE = 4
_STATUS_THREADS = 2


class Server:
    """Server in this process: call `start` and `stop`, or use it in a `with` block.

    `start` loads the highest version below the base path and opens the port. A thread then looks
    for newer versions.

    Args:
        model_name: name of the model for clients.
        model_base_path: the directory that holds the versions `1/`, `2/`, ...
        port: gRPC port; 0 uses a free port.
        host: address to listen on; the default is all interfaces, as in TensorFlow Serving.
        poll_seconds: interval between looks for new versions.
        drain_seconds: time that `stop` waits for calls in progress.
        prefer_tflite_model: serve a version by its `model.tflite` if it has one, otherwise by its
            SavedModel. Without a SavedModel no TensorFlow is loaded.
        xla_cpu_compilation_enabled: True allows functions that XLA compiles, and compiles them
            before a version is served. False disables XLA in the whole process and rejects such
            versions, as in TensorFlow Serving. None does neither.

    Attributes:
        port: the open port, after `start`.
        version: the version that `start` loaded.

    Raises:
        StartError: by `start`, if the port is in use or the base path has no model that loads.

    Example:

    >>> from keras_s2s.serving import Server
    >>> Server("pronounce", "export/pronounce", port=8500).address
    'localhost:8500'
    """

    def __init__(
        self,
        model_name: str,
        model_base_path: str | os.PathLike[str],
        port: int = 8500,
        *,
        host: str = "0.0.0.0",
        poll_seconds: float = 1.0,
        drain_seconds: float = 30.0,
        prefer_tflite_model: bool = False,
        xla_cpu_compilation_enabled: bool | None = None,
    ) -> None:
        self.model_name = model_name
        self.model_base_path = Path(model_base_path).absolute()
        self.port = port
        self.host = host
        self.poll_seconds = poll_seconds
        self.drain_seconds = drain_seconds
        self.version: int | None = None
        self._load = ModelLoader(prefer_tflite_model, xla_cpu_compilation_enabled)
        self._stopping = threading.Event()
        self._cleanup = contextlib.ExitStack()  # run by `stop`

    @property
    def address(self) -> str:
        """Address for a client on the same machine."""
        return f"localhost:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Loads the model and opens the port."""
        if not self.model_name:
            raise StartError("model_name must not be empty")
        _check_base_path(self.model_base_path)
        _check_port(self.host, self.port)
        self._stopping.clear()
        versions = ModelVersions(self.model_name, self.model_base_path, self._load)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(versions.close)
            self.version = self._load_first(versions)
            cleanup.callback(self._listen(versions))
            poller = threading.Thread(target=self._poll, args=(versions,), daemon=True)
            cleanup.callback(poller.join)
            cleanup.callback(self._stopping.set)
            poller.start()
            self._cleanup = cleanup.pop_all()

    def stop(self) -> None:
        """Rejects new calls, waits for calls in progress and releases the model."""
        self._cleanup.close()

    def _load_first(self, versions: ModelVersions) -> int:
        versions.poll()
        latest = versions.list()[0]
        if latest.model is None:
            message = " ".join(latest.message.split())
            directory = list_versions(self.model_base_path).get(latest.number)
            has_model_file = directory is not None and (directory / MODEL_FILE).is_file()
            if has_model_file and not self._load.prefer_tflite_model:
                message += f" (prefer_tflite_model would serve its {MODEL_FILE})"
            raise StartError(
                f"version {latest.number} in {self.model_base_path} does not load: {message}"
            )
        return latest.number

    def _listen(self, versions: ModelVersions) -> Callable[[], None]:
        """Opens the port; returns a function that closes it."""
        workers = futures.ThreadPoolExecutor(_THREADS_PER_CORE * (os.cpu_count() or 1))
        status_workers = futures.ThreadPoolExecutor(_STATUS_THREADS)
        server = grpc.server(workers, options=_SERVER_OPTIONS)
        add_servicer(server, Servicer({versions.name: versions}), status_workers)
        try:
            self.port = server.add_insecure_port(f"{self.host}:{self.port}")
        except RuntimeError as error:
            raise StartError(f"port {self.port} cannot be opened: {error}") from error
        server.start()

        def close() -> None:
            server.stop(self.drain_seconds).wait()
            workers.shutdown()
            status_workers.shutdown()

        return close

    def _poll(self, versions: ModelVersions) -> None:
        while not self._stopping.wait(self.poll_seconds):
            versions.poll()


def _check_base_path(path: Path) -> None:
    if not path.is_dir():
        problem = "is not a directory" if path.exists() else "does not exist"
        raise StartError(f"model_base_path {path} {problem}")
    try:
        if list_versions(path):
            return
    except OSError as error:
        raise StartError(f"model_base_path {path} cannot be read: {error.strerror}") from error
    hint = f"expected a directory named by a number, such as {path / '1'}"
    if is_saved_model(path):
        hint = f"it is itself a version: give the directory above it, {path.parent}"
    raise StartError(f"model_base_path {path} holds no version: {hint}")


def _check_port(host: str, port: int) -> None:
    """Checks the port before a model is loaded; gRPC would report it late and at length."""
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise StartError(f"port must be a whole number from 0 to 65535, not {port!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise StartError(f"port {port} on {host} cannot be opened: {error.strerror}") from error
