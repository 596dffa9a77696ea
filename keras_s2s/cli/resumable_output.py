"""Output files that can be resumed after an interrupt, a crash or `kill -9`."""

import contextlib
import fcntl
import os
import sys
from pathlib import Path

from keras_s2s.cli.text_streams import LineOutput, adding_file_name, is_stream
from keras_s2s.errors import UserError
from keras_s2s.signatures.json_text import dump_json, load_json

__all__ = ["ResumableOutput", "open_output"]

REMEDY = "run without --resume to start again"


def open_output(path: str, provenance: dict | None, resume: bool) -> "LineOutput | ResumableOutput":
    """Opens a `ResumableOutput`, or a `LineOutput` for outputs that cannot be resumed.

    Args:
        path: a file, a pipe or device, or `-`.
        provenance: dict of everything that determines the lines; None if it is not known.
        resume: whether to continue after the lines of an interrupted command.

    Raises:
        UserError: if the file cannot be written, or existing output has another provenance.
    """
    if provenance is None or path in (None, "-") or is_stream(path):
        if resume:
            raise UserError("--resume: expected --input and --output, both files")
        return LineOutput(path)
    return ResumableOutput(path, provenance, resume)


class ResumableOutput(contextlib.AbstractContextManager):
    """Output that is written to FILE.partial and renamed to FILE at the end.

    FILE.partial.json holds the number of finished input lines and of output bytes. It is replaced
    atomically after the bytes are on the disk, so that it is correct at any moment.

    Args:
        path: FILE.
        provenance: dict of JSON values. Work is resumed only if they are equal.
        resume: False starts again.

    Attributes:
        path: FILE, with symbolic links resolved.
        done: number of finished input lines.
        state: dict of values given to `commit`.

    Raises:
        UserError: if the file cannot be written, another process writes it, or it cannot be
            resumed.
    """

    def __init__(self, path: str, provenance: dict, resume: bool):
        if not Path(path).parent.is_dir():
            raise UserError(f"--output {path}: expected a folder that exists")
        if Path(path).is_dir():
            raise UserError(f"--output {path}: expected a file, got a folder")
        self.path = Path(os.path.realpath(path))
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._sidecar = self._partial.with_name(self._partial.name + ".json")
        self._provenance = load_json(dump_json(provenance))
        self.done, self.state = 0, {}
        self._file = self._open()
        try:
            resumes = resume and self._sidecar.exists()
            self._is_complete = self._resume() if resumes else self._restart()
        except BaseException:
            self._close()
            raise

    def _resume(self) -> bool:
        """Continues after the last commit; returns whether the output is complete."""
        sidecar = self._read_sidecar()
        self.done, self.state, size = sidecar["done"], sidecar["state"], sidecar["bytes"]
        if sidecar["complete"] and not _size(self._partial) and _size(self.path) == size:
            return True
        if _size(self._partial) < size:
            problem = f"expected at least {size} bytes, got {_size(self._partial)}"
            raise UserError(f"{self._partial}: {problem}; {REMEDY}")
        self._truncate(size)
        return False

    def _restart(self) -> bool:
        self._sidecar.unlink(missing_ok=True)
        self._truncate(0)
        return False

    def _truncate(self, size):
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def _read_sidecar(self):
        """The content of the sidecar file, after a comparison of its provenance."""
        try:
            sidecar = load_json(self._sidecar.read_text("utf-8"))
            provenance = sidecar["made_of"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{self._sidecar}: expected a file that this command wrote; {REMEDY}"
            ) from None
        for name in sorted(self._provenance.keys() | provenance.keys()):
            value, previous = self._provenance.get(name), provenance.get(name)
            if value != previous:
                expected = f"one made with {name} {_as_json(value)}, got {_as_json(previous)}"
                raise UserError(f"{self._partial}: expected {expected}; {REMEDY}")
        return sidecar

    def _open(self):
        while True:
            try:
                file = open(self._partial, "ab")  # noqa: SIM115  closed by __exit__
            except OSError as error:
                raise UserError(f"--output {self.path}: {error.strerror}") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                problem = "expected no other command that writes it, got one"
                raise UserError(f"{self._partial}: {problem}") from None
            except OSError:  # the file system has no locks
                return file
            if self._is_current(file):
                return file
            file.close()  # the holder of the lock has just renamed the file

    def _is_current(self, file):
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._partial))
        except FileNotFoundError:
            return False

    def write(self, line: str) -> None:
        """Writes one line."""
        with self._with_file_name():
            self._file.write(line.encode("utf-8", "replace") + b"\n")

    def commit(self, done: int, state: dict, complete: bool = False) -> None:
        """Makes the output of the first `done` input lines durable."""
        with self._with_file_name():
            self._file.flush()
            os.fsync(self._file.fileno())
            progress = {"done": done, "bytes": self._file.tell(), "complete": complete}
            _replace(self._sidecar, {**progress, "state": state, "made_of": self._provenance})
        self.done, self.state = done, state

    def _with_file_name(self):
        return adding_file_name(self._partial)

    def __exit__(self, failed, error, trace):
        if failed is not None:
            self._close()
            if self.done:
                self._print_remedy()
            return
        if self._is_complete:
            self._partial.unlink(missing_ok=True)  # the empty file that `_open` made
        else:
            self.commit(self.done, self.state, complete=True)
            os.replace(self._partial, self.path)
        for path in (self._sidecar, _temporary_path(self._sidecar)):
            path.unlink(missing_ok=True)
        self._file.close()

    def _close(self):
        """Closes the file and removes it if it has no sidecar."""
        if not self._sidecar.exists():
            self._partial.unlink(missing_ok=True)  # while the lock is held
        with contextlib.suppress(OSError):  # the error of a full disk has been reported
            self._file.close()

    def _print_remedy(self):
        lines = f"{self.done:,} line{'s' * (self.done > 1)}"
        content = f"{self._partial} holds the output of the first {lines}"
        print(f"keras-s2s: {content}; --resume continues from there", file=sys.stderr)


def _as_json(value):
    return "left out" if value is None else dump_json(value, ensure_ascii=False)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _temporary_path(path):
    return path.with_name(path.name + ".new")


def _replace(path, content):
    temporary = _temporary_path(path)
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(dump_json(content, ensure_ascii=False))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
