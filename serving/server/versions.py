"""Versions of one model: discovery, loading and unloading.

As in TensorFlow Serving, a version is a directory named by a number, and the highest number is
loaded. The previous version serves until its successor is available, and calls in progress keep
their version. Versions stay listed with their last state.
"""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from keras_s2s.serving.server import status
from keras_s2s.serving.server.servable import Servable
from keras_s2s.serving.server.status import StatusError
from keras_s2s.serving.server.version import (
    AVAILABLE,
    END,
    LOADING,
    START,
    UNLOADING,
    Version,
)
from keras_s2s.signatures.version_directories import list_versions

__all__ = ["ModelVersions", "VersionSource", "not_found_message"]

_log = logging.getLogger(__name__)


class VersionSource(Protocol):
    """The part of `ModelVersions` that a servicer uses."""

    name: str

    def use(self, number: int | None = None) -> AbstractContextManager[Version]: ...

    def list(self) -> list[Version]: ...


class ModelVersions:
    """Versions of one model; one thread calls `poll`, any thread the other methods.

    Args:
        name: name of the model.
        base_path: the directory that holds `1/`, `2/`, ...
        load: function from a version directory to its loaded model.
        retries: number of further attempts after a failed load. A change of the version's files
            restarts the count, since the files may have been incomplete.
        retry_seconds: delay between attempts.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        load: Callable[[Path], Servable],
        *,
        retries: int = 5,
        retry_seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.base_path = base_path
        self.load = load
        self.retries = retries
        self.retry_seconds = retry_seconds
        self._versions: dict[int, Version] = {}
        self._lock = threading.Lock()
        self._is_base_path_missing = False

    def poll(self) -> None:
        """Checks the disk once: loads the highest version if it is new, unloads the others."""
        try:
            directories = list_versions(self.base_path)
        except OSError as error:
            # As in TensorFlow Serving, loaded versions continue to serve.
            if not self._is_base_path_missing:
                _log.error("%s: cannot look for versions: %s", self.name, error)
            self._is_base_path_missing = True
            return
        self._is_base_path_missing = False
        for number, version in self._versions.items():
            version.has_vanished = version.has_vanished or number not in directories
        if directories:
            latest = max(directories)
            self._load_if_due(latest, directories[latest])
            if self._versions[latest].state == AVAILABLE:
                self._unload_all(except_number=latest)
        else:
            self._unload_all()

    @contextlib.contextmanager
    def use(self, number: int | None = None) -> Iterator[Version]:
        """Holds an available version during a call.

        Args:
            number: the version; None is the highest available one.

        Raises:
            StatusError: NOT_FOUND, if the version is not available.
        """
        with self._lock:
            version = self._available_version(number)
            version.num_calls += 1
        try:
            yield version
        finally:
            with self._lock:
                version.num_calls -= 1
                is_unused = version.state == UNLOADING and not version.num_calls
            if is_unused:
                self._close(version)

    def list(self) -> list[Version]:
        """Returns all known versions, newest first."""
        with self._lock:
            return [self._versions[number] for number in sorted(self._versions, reverse=True)]

    def close(self) -> None:
        """Unloads all versions; a version in use is unloaded when its last call ends."""
        self._unload_all()

    def _available_version(self, number: int | None) -> Version:
        available = [n for n, version in self._versions.items() if version.state == AVAILABLE]
        if number is None and available:
            return self._versions[max(available)]
        if number is not None and number in available:
            return self._versions[number]
        raise StatusError(status.NOT_FOUND, not_found_message(self.name, number))

    def _load_if_due(self, number: int, directory: Path) -> None:
        with self._lock:
            version = self._versions.setdefault(number, Version(number))
        modified_at = _last_modification(directory)
        if not _is_load_due(version, modified_at):
            return
        if modified_at != version.modified_at or version.has_vanished:
            version.num_failures = 0
        version.modified_at, version.has_vanished = modified_at, False
        version.state, version.code, version.message = LOADING, status.OK, ""
        try:
            version.model = self.load(directory)
        except Exception as error:  # the previous version must continue to serve in any case
            self._record_failure(version, error)
        else:
            version.state = AVAILABLE
            _log.info("%s: version %d is loaded", self.name, number)
        if version.model is None:
            gc.collect()  # what the failed load has left

    def _record_failure(self, version: Version, error: Exception) -> None:
        if isinstance(error, StatusError):
            version.code, version.message = error.code, error.message
        else:
            version.code = status.UNKNOWN
            version.message = f"{type(error).__name__}: {error}"
        version.num_failures += 1
        version.retry_at = time.monotonic() + self.retry_seconds
        if version.num_failures > self.retries:
            version.state = END
        _log.error("%s: version %d does not load: %s", self.name, version.number, version.message)

    def _unload_all(self, except_number: int | None = None) -> None:
        with self._lock:
            unloading = [
                version
                for number, version in self._versions.items()
                if number != except_number and version.state == AVAILABLE
            ]
            for version in unloading:
                version.state = UNLOADING
            unused = [version for version in unloading if not version.num_calls]
        for version in unused:
            self._close(version)

    def _close(self, version: Version) -> None:
        version.loaded_model.close()
        version.model = None
        gc.collect()  # TensorFlow's graphs are reference cycles: each would stay for a long time
        version.state = END
        _log.info("%s: version %d is unloaded", self.name, version.number)


def _is_load_due(version: Version, modified_at: float) -> bool:
    if version.state in (AVAILABLE, UNLOADING):
        return False
    if version.state == START or version.has_vanished or modified_at != version.modified_at:
        return True
    if version.state == LOADING:
        return time.monotonic() >= version.retry_at
    return not version.code  # unloaded for a later version that has disappeared


def not_found_message(name: str, number: int | None) -> str:
    """Returns TensorFlow Serving's message for a model or version that is not served."""
    requested = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return f"Servable not found for request: {requested}"


def _last_modification(directory: Path) -> float:
    """Returns the latest modification time in a version directory; 0 if it is unreadable."""
    try:
        return max(path.stat().st_mtime for path in [directory, *directory.rglob("*")])
    except OSError:
        return 0.0
