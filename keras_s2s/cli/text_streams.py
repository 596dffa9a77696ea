"""Input and output lines of commands: files or the standard streams."""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from keras_s2s.cli.standard_streams import open_stream
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.config import is_frames
from keras_s2s.errors import UserError
from keras_s2s.io import decode_lines

__all__ = [
    "LineOutput",
    "adding_file_name",
    "aligned_lines",
    "chunk_size",
    "chunks",
    "is_read_once",
    "is_stream",
    "on_one_line",
    "source_lines",
]

_END = object()  # returned after the last line


def source_lines(path: str) -> Iterator:
    """Yields the lines of a file without their line ends.

    A file of features yields float32 arrays [S, F] instead.

    Args:
        path: a path, or `-` for the standard input.

    Raises:
        UserError: if the file is missing or a line is not UTF-8; names file and line.
    """
    if path == "-":
        return decode_lines(open_stream("stdin").buffer, "standard input")
    import_tensorflow()
    from keras_s2s.data import read_features, read_lines

    return read_features(path) if is_frames(path) else read_lines(path)


def aligned_lines(paths: Sequence) -> Iterator[tuple]:
    """Yields tuples of the lines with the same number of several files.

    Args:
        paths: list of paths (`-` for the standard input) or lists of lines. None yields None.

    Raises:
        UserError: as `source_lines`, and if the files have different numbers of lines.
    """
    files = [_opened(path) for path in paths]
    for number in itertools.count(1):
        row = tuple(next(lines, _END) if lines else None for lines in files)
        ended = [path for path, line in zip(paths, row, strict=True) if line is _END]
        if len(ended) == sum(map(bool, paths)):
            return
        if ended:
            longer = next(path for path in paths if path and path not in ended)
            raise UserError(
                f"{_name(ended[0])}: expected as many lines as {_name(longer)}, got {number - 1}"
            )
        yield row


def _opened(path):
    return source_lines(path) if isinstance(path, str) else path and iter(path)


def _name(path):
    if not isinstance(path, str):
        return "texts"
    return "standard input" if path == "-" else path


def is_stream(path: str | Path) -> bool:
    """Whether the path is a pipe or a device, which is written to and not replaced."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


def is_read_once(path: str | Path) -> bool:
    """Whether the content of the path can be read only once."""
    return path == "-" or is_stream(path)


def chunk_size(path: str | Sequence, size: int) -> int:
    """Returns how many lines to process together: `size`, or 1 for input from a terminal."""
    return 1 if path == "-" and open_stream("stdin").isatty() else size


def chunks(lines: Iterable, size: int) -> Iterator[list]:
    """Yields lists of `size` items; the last one may be shorter."""
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def on_one_line(text: str, separators: str = "\r\n") -> str:
    """Replaces `separators` by spaces, so that every input line gives one output line."""
    return text.translate(dict.fromkeys(map(ord, separators), " "))


@contextlib.contextmanager
def adding_file_name(path: str | Path | None) -> Iterator[None]:
    """Adds the name of the file to an OSError, which the error of a full disk lacks."""
    try:
        yield
    except OSError as error:
        if path is not None:
            error.filename = str(path)
        raise


class LineOutput(contextlib.AbstractContextManager):
    """Output lines of a command, written to the standard output or to a file.

    Args:
        path: a file, which is written under a temporary name and renamed at the end; a pipe or
            device, which is written to directly; None or `-` for the standard output.

    Attributes:
        done: number of input lines that are finished.
        state: dict of values to keep with them; see `ResumableOutput`.

    Raises:
        UserError: if the file cannot be written or its folder does not exist.
    """

    done = 0

    def __init__(self, path: str | None = None):
        self.state = {}
        self.path = None if path in (None, "-") else Path(path)
        self._temporary = None
        if self.path is None:
            self._file = open_stream("stdout")
            self._file.reconfigure(encoding="utf-8")
        elif not self.path.parent.is_dir():
            raise UserError(f"--output {path}: expected a folder that exists")
        elif self.path.is_dir():
            raise UserError(f"--output {path}: expected a file, got a folder")
        else:
            self._file = self._open()

    def _open(self):
        path = self.path
        if not is_stream(path):
            self.path = Path(os.path.realpath(path))  # the target of a symbolic link
            path = self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            return path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(f"--output {self.path}: {error.strerror}") from None

    def write(self, line: str) -> None:
        """Writes one line."""
        with self._with_file_name():
            self._file.write(line + "\n")

    def commit(self, done: int, state: dict) -> None:
        """Flushes the output of the first `done` input lines."""
        with self._with_file_name():
            self._file.flush()
        self.done, self.state = done, state

    def _with_file_name(self):
        return adding_file_name(self.path)

    def __exit__(self, failed, error, trace):
        if self.path is None:
            self._file.flush()
            return
        try:
            with self._with_file_name():
                self._file.close()
                if failed is None and self._temporary:
                    os.replace(self._temporary, self.path)
        finally:
            if self._temporary:
                self._temporary.unlink(missing_ok=True)
