"""The versions of one model: finds them on disk, loads the latest, lets go of the old one.

As in TensorFlow Serving: a version is a directory named by a number; the highest is loaded; the
one before it serves until its successor can, and calls under way keep the version they began
with. Versions once seen stay listed with how they ended.
"""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError

__all__ = [
    "AVAILABLE",
    "END",
    "LOADING",
    "START",
    "UNLOADING",
    "ModelVersions",
    "Version",
    "find_versions",
]

START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50
_INT64 = 2**63
_log = logging.getLogger(__name__)


def find_versions(base_path: Path) -> dict[int, Path]:
    """The version directories below a base path, by number.

    A child counts if its whole name is a whole number, so `.tmp-7` does not; of `7` and `007`
    the last in alphabetical order wins.

    Raises:
        OSError: if the base path cannot be listed.
    """
    children = sorted(base_path.iterdir(), key=lambda child: child.name)
    numbered = [child for child in children if re.fullmatch("[0-9]+", child.name)]
    return {int(child.name): child for child in numbered if int(child.name) < _INT64}


@dataclass
class Version:
    """One version and how far it has come.

    Attributes:
        number: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        code: the status code of its load, 0 if it did not fail.
        message: what went wrong.
        model: what answers, while it is loaded.
    """

    number: int
    state: int = START
    code: int = status.OK
    message: str = ""
    model: object = None
    users: int = 0  # calls under way
    failures: int = 0
    retry_at: float = 0.0
    stamp: float = 0.0  # when its files last changed, at the last attempt
    gone: bool = False  # the directory has vanished since


class ModelVersions:
    """The versions of one model; `poll` is called by one thread, everything else by any.

    Args:
        name: the model's name.
        base_path: the directory that holds `1/`, `2/`, ...
        load: makes the model of a version's directory; what it returns has a `close`.
        retries: how often a failed load is tried again. A change of the version's files starts
            the count anew, for it may have been half copied.
        retry_seconds: how long to wait before that.
    """

    def __init__(
        self,
        name: str,
        base_path: Path,
        load: Callable[[Path], object],
        *,
        retries: int = 5,
        retry_seconds: float = 60.0,
    ):
        self.name = name
        self.base_path = base_path
        self.load = load
        self.retries = retries
        self.retry_seconds = retry_seconds
        self._versions: dict[int, Version] = {}
        self._lock = threading.Lock()
        self._lost = False

    def poll(self) -> None:
        """Looks at the disk once: loads the highest version if it is new, drops the others."""
        try:
            found = find_versions(self.base_path)
        except OSError as error:
            # as TensorFlow Serving does: what is loaded goes on serving
            if not self._lost:
                _log.error("%s: cannot look for versions: %s", self.name, error)
            self._lost = True
            return
        self._lost = False
        for number, version in self._versions.items():
            version.gone = version.gone or number not in found
        if found:
            latest = max(found)
            self._try(latest, found[latest])
            if self._versions[latest].state == AVAILABLE:
                self._unload_all(but=latest)
        else:
            self._unload_all()

    @contextlib.contextmanager
    def use(self, number: int | None = None) -> Iterator[Version]:
        """Holds a loaded version for the time of a call.

        Args:
            number: the version wanted; None is the highest loaded one.

        Raises:
            StatusError: NOT_FOUND, if it is not loaded.
        """
        with self._lock:
            version = self._loaded(number)
            version.users += 1
        try:
            yield version
        finally:
            with self._lock:
                version.users -= 1
                idle = version.state == UNLOADING and not version.users
            if idle:
                self._close(version)

    def list(self) -> list[Version]:
        """Every version seen so far, newest first."""
        with self._lock:
            return [self._versions[number] for number in sorted(self._versions, reverse=True)]

    def close(self) -> None:
        """Unloads everything; a version in use goes when its last call ends."""
        self._unload_all()

    def _loaded(self, number):
        ready = [n for n, version in self._versions.items() if version.state == AVAILABLE]
        if number is None and ready:
            return self._versions[max(ready)]
        if number in ready:
            return self._versions[number]
        raise StatusError(status.NOT_FOUND, not_found(self.name, number))

    def _try(self, number, directory):
        with self._lock:
            version = self._versions.setdefault(number, Version(number))
        stamp = _last_change(directory)
        if not self._due(version, stamp):
            return
        if stamp != version.stamp or version.gone:
            version.failures = 0
        version.stamp, version.gone = stamp, False
        version.state, version.code, version.message = LOADING, status.OK, ""
        try:
            version.model = self.load(directory)
        except Exception as error:  # whatever it is, the version before it must go on serving
            self._failed(version, error)
        else:
            version.state = AVAILABLE
            _log.info("%s: version %d is loaded", self.name, number)

    def _due(self, version, stamp):
        if version.state in (AVAILABLE, UNLOADING):
            return False
        if version.state == START or version.gone or stamp != version.stamp:
            return True
        if version.state == LOADING:
            return time.monotonic() >= version.retry_at
        return not version.code  # unloaded for a later version that has vanished again

    def _failed(self, version, error):
        known = isinstance(error, StatusError)
        version.code = error.code if known else status.UNKNOWN
        version.message = error.message if known else f"{type(error).__name__}: {error}"
        version.failures += 1
        version.retry_at = time.monotonic() + self.retry_seconds
        if version.failures > self.retries:
            version.state = END
        _log.error("%s: version %d does not load: %s", self.name, version.number, version.message)

    def _unload_all(self, but=None):
        with self._lock:
            leaving = [
                version
                for number, version in self._versions.items()
                if number != but and version.state == AVAILABLE
            ]
            for version in leaving:
                version.state = UNLOADING
            idle = [version for version in leaving if not version.users]
        for version in idle:
            self._close(version)

    def _close(self, version):
        version.model.close()
        version.model = None
        version.state = END
        _log.info("%s: version %d is unloaded", self.name, version.number)


def not_found(name: str, number: int | None) -> str:
    """What TensorFlow Serving says of a model or version that it does not serve."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return f"Servable not found for request: {wanted}"


def _last_change(directory):
    """The latest change below a version's directory; 0 where it cannot be seen."""
    try:
        return max(path.stat().st_mtime for path in [directory, *directory.rglob("*")])
    except OSError:
        return 0.0
