"""Files as lines of bytes: plain or gzipped, on a disk or wherever TensorFlow reads."""

import contextlib
import gzip
import io
import itertools
import os
import re
import zlib

import tensorflow as tf

from keras_s2s.errors import UserError

__all__ = [
    "LineReader",
    "file_stamp",
    "is_gzipped",
    "is_remote",
    "open_binary",
    "tensorflow_message",
]

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()  # what editors put at the start of a file
_BUFFER = 1 << 17
_NODE = re.compile(r"\{\{\w+ \S+\}\} ?| ?\[Op:\w+\].*")  # where in a graph: no user asks


def is_remote(path) -> bool:
    """Whether TensorFlow has to read it: gs://, s3://, ram:// and the like."""
    return "://" in str(path)


def is_gzipped(path) -> bool:
    """Whether its name says that it is gzipped, and so can be read from its start alone."""
    return str(path).endswith(".gz")


def file_stamp(path) -> tuple[int, int]:
    """(bytes, time of the last change in ns) of a file.

    Raises:
        UserError: it is not there, or not to be read.
    """
    with _read(path):
        if is_remote(path):
            found = tf.io.gfile.stat(str(path))
            return found.length, found.mtime_nsec
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns


def tensorflow_message(error: tf.errors.OpError) -> str:
    """The first line of what TensorFlow says; some file systems say nothing."""
    first = (error.message or type(error).__name__).splitlines()[0]
    return _NODE.sub("", first)


def open_binary(path) -> io.BufferedReader:
    """A file to read and seek in; what goes wrong is raised as it comes."""
    raw = _Remote(str(path)) if is_remote(path) else io.FileIO(path)
    return io.BufferedReader(raw, _BUFFER)


class LineReader:
    r"""The lines of a UTF-8 text file, gunzipped where its name ends in `.gz`.

    Only `\n` ends a line, and the one before the end of the file may lack it; `\r\n` is read as
    `\n`, and a byte order mark at the start of the file is left out. Damage is named by `take`.

    Attributes:
        path: the file.
        number: lines taken so far.
        offset: of the next line, in bytes of the gunzipped text.
    """

    def __init__(self, path):
        self.path, self.number, self.offset = str(path), 0, 0
        self._file, self._opened = None, []

    def take(self, count: int) -> list[bytes]:
        """The next lines, `count` of them but at the end of the file.

        Raises:
            UserError: the file cannot be read, is a damaged `.gz`, or a line of it is not UTF-8.
        """
        with _read(self.path):
            self._open()
            lines = list(itertools.islice(self._file, count))
        self._check(lines)
        if not self.number and lines:
            self.offset = len(lines[0]) - len(lines[0].removeprefix(_MARK))
            lines[0] = lines[0].removeprefix(_MARK)
        self.offset += sum(map(len, lines))
        self.number += len(lines)
        return [line.removesuffix(b"\n").removesuffix(b"\r") for line in lines]

    def seek(self, offset: int, number: int) -> None:
        """Goes to the line that began at `offset` when `number` lines had been taken."""
        with _read(self.path):
            self._open()
            self._file.seek(offset)
        self.offset, self.number = offset, number

    def count(self) -> int:
        """The number of all lines, those taken and those left."""
        while self.take(1024):
            pass
        return self.number

    def close(self) -> None:
        """Lets go of the file; a later `take` begins again."""
        for file in self._opened:
            file.close()
        self._file, self._opened, self.number, self.offset = None, [], 0, 0

    def _open(self):
        if self._file is not None:
            return
        raw = open_binary(self.path)
        self._file, self._opened = raw, [raw]
        if is_gzipped(self.path):
            # the buffer outside gives lines faster than GzipFile does
            self._file = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER)
            self._opened = [self._file, raw]

    def _check(self, lines):
        try:
            b"".join(lines).decode()
        except UnicodeDecodeError:
            self._complain(lines)

    def _complain(self, lines):
        for number, line in enumerate(lines, self.number + 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
                place = f"{self.path}:{number}"
                raise UserError(f"{place}: expected UTF-8, came {came}") from None


class _Remote(io.RawIOBase):
    """A file of TensorFlow's file systems as one of Python's."""

    def __init__(self, path):
        self._file = tf.io.gfile.GFile(path, "rb")
        self._file.size()  # a missing file is known now

    def readable(self):
        return True

    def seekable(self):
        return True

    def readinto(self, buffer):
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset, whence=io.SEEK_SET):
        self._file.seek(offset, whence)
        return self._file.tell()

    def close(self):
        self._file.close()
        super().close()


@contextlib.contextmanager
def _read(path):
    """Turns what reading a file raises into a user's error that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole gzip file, came: {error}") from None
    except OSError as error:
        came = error.strerror or error
        raise UserError(f"{path}: expected a text file, came: {came}") from None
    except tf.errors.OpError as error:
        raise UserError(
            f"{path}: expected a text file, came: {tensorflow_message(error)}"
        ) from None
