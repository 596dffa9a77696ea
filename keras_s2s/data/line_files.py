"""Text files read line by line, plain or compressed, from any file system TensorFlow supports."""

import contextlib
import io
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.io import (
    BUFFER_SIZE,
    check_utf8,
    naming_file,
    open_text,
    strip_byte_order_mark,
    strip_line_ending,
)

__all__ = ["LineReader", "file_stamp", "is_remote", "open_binary", "tensorflow_message"]

_GRAPH_NODE = re.compile(r"\{\{\w+ \S+\}\} ?| ?\[Op:\w+\].*")  # of no use to a user


def is_remote(path: Path | str) -> bool:
    """Returns whether TensorFlow has to read a path: gs://, s3://, ram:// and the like."""
    return "://" in str(path)


def file_stamp(path: Path | str) -> tuple[int, int]:
    """Returns the size of a file in bytes and the time of its last change in ns.

    Raises:
        UserError: The file is missing or cannot be read.
    """
    with _naming_file(path):
        if is_remote(path):
            stat = tf.io.gfile.stat(str(path))
            return stat.length, stat.mtime_nsec
        stat = os.stat(path)
        return stat.st_size, stat.st_mtime_ns


def tensorflow_message(error: tf.errors.OpError) -> str:
    """Returns the first line of a TensorFlow error without the names of graph nodes."""
    # some file systems raise errors without a message
    first = (error.message or type(error).__name__).splitlines()[0]
    return _GRAPH_NODE.sub("", first)


def open_binary(path: Path | str) -> io.BufferedReader:
    """Opens a local or remote file for reading and seeking; the caller handles the errors."""
    raw = _RemoteFile(str(path)) if is_remote(path) else io.FileIO(path)
    return io.BufferedReader(raw, BUFFER_SIZE)


class LineReader:
    r"""Reads the lines of a UTF-8 text file in blocks, decompressed by `open_text`.

    Only `\n` ends a line, and the last line may lack it. `\r\n` is read as `\n`, and a byte order
    mark at the start of the file is removed.

    Args:
        path: The file. It is opened by the first `read` or `seek`.

    Attributes:
        path: The file, as a string.
        num_read: Number of lines read so far.
        offset: Position of the next line, in bytes of the decompressed text.

    Example:

    >>> import tempfile, pathlib
    >>> from keras_s2s.data.line_files import LineReader
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "text"
    >>> _ = path.write_text("one\ntwo\n")
    >>> reader = LineReader(path)
    >>> reader.read(10)
    [b'one', b'two']
    >>> reader.close()
    """

    def __init__(self, path: Path | str):
        self.path, self.num_read, self.offset = str(path), 0, 0
        self._file, self._opened, self._is_compressed = None, [], None

    def read(self, count: int) -> list[bytes]:
        """Returns the next `count` lines, or fewer at the end of the file.

        Raises:
            UserError: The file cannot be read, is damaged, or a line is not UTF-8.
        """
        with _naming_file(self.path):
            self._open()
            lines = list(itertools.islice(self._file, count))
        check_utf8(lines, self.path, self.num_read + 1)
        self.offset += sum(map(len, lines))
        if not self.num_read and lines:
            lines[0] = strip_byte_order_mark(lines[0])
        self.num_read += len(lines)
        return [strip_line_ending(line) for line in lines]

    @property
    def is_compressed(self) -> bool:
        """Whether the file has to be read from its start to reach a line."""
        if self._is_compressed is None:
            with _naming_file(self.path):
                self._open()
        return self._is_compressed

    def seek(self, offset: int, num_read: int) -> None:
        """Continues with the line at `offset`, which is line `num_read` counted from 0."""
        with _naming_file(self.path):
            self._open()
            self._file.seek(offset)
        self.offset, self.num_read = offset, num_read

    def count(self) -> int:
        """Reads to the end and returns the number of lines of the file."""
        while self.read(1024):
            pass
        return self.num_read

    def close(self) -> None:
        """Closes the file; a later `read` starts again at its first line."""
        for file in self._opened:
            file.close()
        self._file, self._opened, self.num_read, self.offset = None, [], 0, 0

    def _open(self):
        if self._file is not None:
            return
        raw = open_binary(self.path)
        self._file, self._opened = raw, [raw]
        self._file = open_text(raw, self.path)
        self._is_compressed = self._file is not raw
        self._opened = [self._file, raw]


class _RemoteFile(io.RawIOBase):
    """Adapter of a `tf.io.gfile.GFile` to the interface of Python's raw files."""

    def __init__(self, path):
        self._file = tf.io.gfile.GFile(path, "rb")
        self._file.size()  # raises for a missing file now, not at the first read

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
def _naming_file(path) -> Iterator[None]:
    """As `naming_file`, for the errors of TensorFlow's file systems too."""
    with naming_file(path):
        try:
            yield
        except tf.errors.OpError as error:
            message = tensorflow_message(error)
            raise UserError(f"{path}: expected a text file, got: {message}") from None
