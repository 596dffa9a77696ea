"""Lines in and out of a command: files or the standard streams, one line out for one line in."""

import contextlib
import itertools
import os
from pathlib import Path

from keras_s2s.cli.standard_streams import open_stream
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.config import is_frames
from keras_s2s.errors import UserError

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

_END = object()  # behind the last line


def source_lines(path):
    """The lines of a file (`-`: the standard input) without their ends, one at a time.

    Those of a file of frames are float32 arrays [S, F].

    Raises:
        UserError: the file is missing or a line is not UTF-8; names file and line.
    """
    if path == "-":
        return _standard_input()
    import_tensorflow()
    from keras_s2s.data import read_features, read_lines

    return read_features(path) if is_frames(path) else read_lines(path)


def _standard_input():
    for number, line in enumerate(open_stream("stdin").buffer, 1):
        try:
            text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            raise UserError(f"standard input:{number}: expected UTF-8, came {came}") from None
        yield text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}") if number == 1 else text


def aligned_lines(paths):
    """Tuples of the lines of one number of several files; None where a path is None.

    Args:
        paths: of files, `-` for the standard input; or lists of lines.

    Raises:
        UserError: as `source_lines`, and when the files have different numbers of lines.
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
                f"{_name(ended[0])}: expected as many lines as {_name(longer)}, came {number - 1}"
            )
        yield row


def _opened(path):
    return source_lines(path) if isinstance(path, str) else path and iter(path)


def _name(path):
    if not isinstance(path, str):
        return "texts"
    return "standard input" if path == "-" else path


def is_stream(path) -> bool:
    """Whether the path is a pipe or a device: read once, and written to rather than replaced."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


def is_read_once(path) -> bool:
    """Whether what the path gives is gone once it was read."""
    return path == "-" or is_stream(path)


def chunk_size(path, size: int) -> int:
    """How many lines to take together: `size`, but one where a person is typing them."""
    return 1 if path == "-" and open_stream("stdin").isatty() else size


def chunks(lines, size):
    """Lists of `size` items, the last one shorter."""
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def on_one_line(text: str, separators: str = "\r\n") -> str:
    """The text with blanks for `separators`, so that lines out stay as many as lines in."""
    return text.translate(dict.fromkeys(map(ord, separators), " "))


@contextlib.contextmanager
def adding_file_name(path):
    """Gives an OSError the file's name, if there is one: a full disk does not say which it was."""
    try:
        yield
    except OSError as error:
        if path is not None:
            error.filename = str(path)
        raise


class LineOutput(contextlib.AbstractContextManager):
    """Where a command's lines go: the standard output, or a file that appears when all is well.

    Attributes:
        done, state: of work that was done before, none; see `partial.Partial`.

    Args:
        path: a file, written beside and renamed at the end; a pipe or device, written to as it
            goes; None or `-` for the standard output.

    Raises:
        UserError: the file cannot be written, or its folder is not there.
    """

    done = 0

    def __init__(self, path=None):
        self.state = {}
        self.path = None if path in (None, "-") else Path(path)
        self._beside = None
        if self.path is None:
            self._file = open_stream("stdout")
            self._file.reconfigure(encoding="utf-8")
        elif not self.path.parent.is_dir():
            raise UserError(f"--output {path}: expected a folder that exists")
        elif self.path.is_dir():
            raise UserError(f"--output {path}: expected a file, came a folder")
        else:
            self._file = self._open()

    def _open(self):
        place = self.path
        if not is_stream(place):
            self.path = Path(os.path.realpath(place))  # of a link, the file that it stands for
            place = self._beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            return place.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(f"--output {self.path}: {error.strerror}") from None

    def write(self, line: str) -> None:
        """Adds one line."""
        with self._named():
            self._file.write(line + "\n")

    def mark(self, done: int, state: dict) -> None:
        """Lets a reader of the standard output see what is there; `done` lines of input are."""
        with self._named():
            self._file.flush()
        self.done, self.state = done, state

    def _named(self):
        return adding_file_name(self.path)

    def __exit__(self, failed, error, trace):
        if self.path is None:
            self._file.flush()
            return
        try:
            with self._named():
                self._file.close()
                if failed is None and self._beside:
                    os.replace(self._beside, self.path)
        finally:
            if self._beside:
                self._beside.unlink(missing_ok=True)
