"""An output that an interrupt, a crash or `kill -9` leaves in a state to be taken up again."""

import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path

from keras_s2s.cli.text_streams import LineOutput, adding_file_name, is_stream
from keras_s2s.errors import UserError

__all__ = ["ResumableOutput", "open_output"]

ANEW = "without --resume it is made anew"


def open_output(path, made_of, resume: bool):
    """Where lines go: a `ResumableOutput`, or an `LineOutput` where nothing could be taken up.

    Args:
        path: a file, a pipe or device, or `-`.
        made_of: what decides what the lines will be, by name; None when it cannot be known.
        resume: whether to go on where an earlier command was interrupted.

    Raises:
        UserError: the file cannot be written, or what is there was made of something else.
    """
    if made_of is None or path in (None, "-") or is_stream(path):
        if resume:
            raise UserError("--resume: expected --input and --output, both files")
        return LineOutput(path)
    return ResumableOutput(path, made_of, resume)


class ResumableOutput(contextlib.AbstractContextManager):
    """The file FILE.partial, which becomes FILE at the end.

    FILE.partial.json says how many lines of input and bytes of output are done; it is replaced as
    a whole after the bytes are on the disk, so that at any moment it is true of what it stands
    beside.

    Args:
        path: FILE.
        made_of: dict of values that JSON can hold; work goes on only when they are the same.
        resume: False begins anew.

    Attributes:
        path: FILE, of a link the file that it stands for.
        done: lines of input that are done.
        state: what the command wants to find again, as it was given to `mark`.

    Raises:
        UserError: the file cannot be written, another process writes it, or it cannot be taken up.
    """

    def __init__(self, path, made_of: dict, resume: bool):
        if not Path(path).parent.is_dir():
            raise UserError(f"--output {path}: expected a folder that exists")
        if Path(path).is_dir():
            raise UserError(f"--output {path}: expected a file, came a folder")
        self.path = Path(os.path.realpath(path))
        self._beside = self.path.with_name(self.path.name + ".partial")
        self._sidecar = self._beside.with_name(self._beside.name + ".json")
        self._made_of = json.loads(json.dumps(made_of))
        self.done, self.state = 0, {}
        self._file = self._open()
        try:
            self._all_done = self._take_up() if resume and self._sidecar.exists() else self._anew()
        except BaseException:
            self._close()
            raise

    def _take_up(self) -> bool:
        """Goes on after the last mark; gives whether that was the end of all."""
        found = self._read()
        self.done, self.state, size = found["done"], found["state"], found["bytes"]
        if found["complete"] and not _size(self._beside) and _size(self.path) == size:
            return True
        if _size(self._beside) < size:
            came = f"expected at least {size} bytes, came {_size(self._beside)}"
            raise UserError(f"{self._beside}: {came}; {ANEW}")
        self._cut(size)
        return False

    def _anew(self) -> bool:
        self._sidecar.unlink(missing_ok=True)
        self._cut(0)
        return False

    def _cut(self, size):
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def _read(self):
        """What the sidecar says, if it is of the same work."""
        try:
            found = json.loads(self._sidecar.read_text("utf-8"))
            before = found["made_of"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{self._sidecar}: expected what this command wrote; {ANEW}") from None
        for name in sorted(self._made_of.keys() | before.keys()):
            now, then = self._made_of.get(name), before.get(name)
            if now != then:
                expected = f"one made with {name} {_said(now)}, came {_said(then)}"
                raise UserError(f"{self._beside}: expected {expected}; {ANEW}")
        return found

    def _open(self):
        while True:
            try:
                file = open(self._beside, "ab")  # noqa: SIM115  closed by __exit__
            except OSError as error:
                raise UserError(f"--output {self.path}: {error.strerror}") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                came = "expected no other command that writes it, came one"
                raise UserError(f"{self._beside}: {came}") from None
            except OSError:  # a file system without locks
                return file
            if self._is_beside(file):
                return file
            file.close()  # whoever held the lock has just renamed it

    def _is_beside(self, file):
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._beside))
        except FileNotFoundError:
            return False

    def write(self, line: str) -> None:
        """Adds one line."""
        with self._named():
            self._file.write(line.encode("utf-8", "replace") + b"\n")

    def mark(self, done: int, state: dict, complete: bool = False) -> None:
        """Makes what is written last: `done` lines of input, from the first on, need no more."""
        with self._named():
            self._file.flush()
            os.fsync(self._file.fileno())
            found = {"done": done, "bytes": self._file.tell(), "complete": complete}
            _replace(self._sidecar, {**found, "state": state, "made_of": self._made_of})
        self.done, self.state = done, state

    def _named(self):
        return adding_file_name(self._beside)

    def __exit__(self, failed, error, trace):
        if failed is not None:
            self._close()
            if self.done:
                self._tell()
            return
        if self._all_done:
            self._beside.unlink(missing_ok=True)  # the empty one that `_open` made
        else:
            self.mark(self.done, self.state, complete=True)
            os.replace(self._beside, self.path)
        for path in (self._sidecar, _new(self._sidecar)):
            path.unlink(missing_ok=True)
        self._file.close()

    def _close(self):
        """Lets go of the file, and of a name that nothing stands behind."""
        if not self._sidecar.exists():
            self._beside.unlink(missing_ok=True)  # as long as nobody else can have opened it
        with contextlib.suppress(OSError):  # a full disk has been named
            self._file.close()

    def _tell(self):
        lines = f"{self.done:,} line{'s' * (self.done > 1)}"
        held = f"{self._beside} holds what the first {lines} gave"
        print(f"keras-s2s: {held}; --resume goes on from there", file=sys.stderr)


def _said(value):
    return "left out" if value is None else json.dumps(value, ensure_ascii=False)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _new(path):
    return path.with_name(path.name + ".new")


def _replace(path, content):
    beside = _new(path)
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
