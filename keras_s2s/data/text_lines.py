"""Lines of UTF-8 text files: byte order marks, line endings, gzip and decoding errors.

Nothing here needs TensorFlow: the functions take bytes, paths and Python's binary files.
"""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from keras_s2s.errors import UserError

__all__ = [
    "BUFFER_SIZE",
    "BYTE_ORDER_MARK",
    "check_utf8",
    "decompress",
    "is_gzipped",
    "naming_file",
    "strip_byte_order_mark",
    "strip_line_ending",
]

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()
BUFFER_SIZE = 1 << 17  # bytes


def is_gzipped(path: Path | str) -> bool:
    """Returns whether the name of a file ends in `.gz`."""
    return str(path).endswith(".gz")


def decompress(file: BinaryIO) -> io.BufferedReader:
    """Returns a reader of the decompressed content of a gzip file.

    Args:
        file: The gzip file, opened in binary mode. The reader does not close it.
    """
    # iterating over the lines of a BufferedReader is faster than over those of a GzipFile
    return io.BufferedReader(gzip.GzipFile(fileobj=file), BUFFER_SIZE)


def strip_byte_order_mark(line: bytes) -> bytes:
    """Returns the first line of a file without its byte order mark."""
    return line.removeprefix(BYTE_ORDER_MARK)


def strip_line_ending(line: bytes) -> bytes:
    r"""Returns a line without its `\n` or `\r\n`.

    Example:

    >>> from keras_s2s.data.text_lines import strip_line_ending
    >>> strip_line_ending(b"one\r\n")
    b'one'
    """
    return line.removesuffix(b"\n").removesuffix(b"\r")


def check_utf8(lines: Sequence[bytes], path: Path | str, first: int = 1) -> None:
    """Checks that consecutive lines of a file are valid UTF-8.

    Args:
        lines: The lines.
        path: The name of the file in an error message.
        first: The number of the first of the lines.

    Raises:
        UserError: A line is not UTF-8. The message names file, line, byte and column.
    """
    try:
        b"".join(lines).decode()  # one call for all lines: fast where they are valid
    except UnicodeDecodeError:
        for number, line in enumerate(lines, first):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
                raise UserError(f"{path}:{number}: expected UTF-8, got {byte}") from None


@contextlib.contextmanager
def naming_file(path: Path | str) -> Iterator[None]:
    """Turns the errors of reading a text file or a gzip file into a `UserError` with its path."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole gzip file, got: {error}") from None
    except OSError as error:
        message = error.strerror or error
        raise UserError(f"{path}: expected a text file, got: {message}") from None
