"""Atomic writes, file locks, flushing to disk, and lines of text files, plain or compressed.

A reader sees a file or directory written here either complete or in its previous state, even when
the writing process is killed.
"""

import bz2
import contextlib
import fcntl
import gzip
import io
import lzma
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from keras_s2s.errors import UserError

__all__ = [
    "BUFFER_SIZE",
    "BYTE_ORDER_MARK",
    "acquire_lock",
    "atomic_path",
    "check_rereadable",
    "check_utf8",
    "decode_lines",
    "describe_invalid_byte",
    "flush_file",
    "flush_tree",
    "has_wildcards",
    "naming_file",
    "new_directory",
    "open_text",
    "path_without_wildcards",
    "strip_byte_order_mark",
    "strip_compression_suffix",
    "strip_line_ending",
    "strip_lines",
    "write_atomically",
]

_WILDCARDS = "[\\"
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()
BUFFER_SIZE = 1 << 17  # bytes

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIX = re.compile(r"\.(gz|bz2|xz)$", re.IGNORECASE)
_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
_OPENERS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.open,
    "xz": lzma.open,
}


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Replaces a file by UTF-8 text or bytes in one step.

    Args:
        path: the file; created when missing.
        content: the complete new content.

    Raises:
        OSError: the file cannot be written; the previous content is kept.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from keras_s2s.io import write_atomically
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_atomically(path, "two words")
    >>> path.read_text()
    'two words'
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path next to `path`, which replaces `path` when the block succeeds.

    The temporary file is removed when the block raises.

    Raises:
        OSError: writing fails; `filename` is set to `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno:
            # The error of a full disk has no file name, and the temporary name helps no user.
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_directory(path: Path | str) -> Iterator[Path]:
    """Yields an empty directory next to `path`, which becomes `path` when the block succeeds.

    The temporary directory is removed when the block raises.

    Raises:
        UserError: `path` exists.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise UserError(f"{path}: expected a directory that does not exist yet, got one")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def acquire_lock(path: Path | str, *, allow_unlocked: bool = False) -> int | None:
    """Locks a file or directory for this process without waiting.

    Args:
        path: an existing file or directory.
        allow_unlocked: whether to return a descriptor without a lock on file systems that do not
            support locks.

    Returns:
        The file descriptor that holds the lock; `os.close` releases it. None when another process
        holds the lock, or when `path` does not exist.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not allow_unlocked:
            os.close(descriptor)
            return None
    return descriptor


def flush_file(path: Path | str) -> None:
    """Writes a file, or the entries of a directory, from the system's cache to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(directory: Path) -> None:
    """Flushes a directory and everything below it, so that a power failure loses nothing."""
    for path in [*directory.rglob("*"), directory]:
        flush_file(path)


def open_text(file: BinaryIO, path: Path | str) -> io.BufferedReader:
    """Returns a reader of the text of a file, decompressed where it is a gzip, bzip2 or xz file.

    The content decides, so that the name of a compressed file does not matter.

    Args:
        file: the file, opened in binary mode at its start. The reader does not close it.
        path: its name in an error message.

    Returns:
        `file` itself, when it is a buffered reader of plain text, or a reader of the text in it.

    Raises:
        UserError: the file is compressed otherwise, is UTF-16 or UTF-32, or has lines that end in
            a carriage return; the message names the remedy.
        OSError, EOFError, zlib.error, lzma.LZMAError: as `naming_file` reports.
    """
    is_buffered = isinstance(file, io.BufferedReader)
    raw: Any = file if is_buffered else io.BufferedReader(cast(Any, file), BUFFER_SIZE)
    kind = _compression(raw.peek(8), path)
    if kind == "zstd":
        expected = "expected text, plain or compressed by gzip, bzip2 or xz, got a zstd file"
        raise UserError(f"{path}: {expected}; decompress it first: zstd -d {path}")
    # iterating over the lines of a BufferedReader is faster than over those of a GzipFile
    reader = io.BufferedReader(_OPENERS[kind](raw), BUFFER_SIZE) if kind else raw
    _check_encoding(reader.peek(BUFFER_SIZE), path)
    return reader


def _compression(start: bytes, path: Path | str) -> str | None:
    """The kind of a compressed file by its first bytes, otherwise by its name."""
    kinds = (kind for magic, kind in _MAGIC.items() if start.startswith(magic))
    return next(kinds, _named_compression(path))


def _named_compression(path: Path | str) -> str | None:
    suffix = _SUFFIX.search(str(path))
    return _SUFFIXES[suffix[0].lower()] if suffix else None


def strip_compression_suffix(path: Path | str) -> str:
    """Returns a file name without the ending of a compressed file, `.gz`, `.bz2` or `.xz`.

    Example:

    >>> from keras_s2s.io import strip_compression_suffix
    >>> strip_compression_suffix("pairs.jsonl.GZ")
    'pairs.jsonl'
    """
    return _SUFFIX.sub("", str(path))


def _check_encoding(start: bytes, path: Path | str) -> None:
    """Checks by the start of a text that it is no UTF-16 or UTF-32, and that lines end in LF."""
    encoding = _wide_encoding(start)
    if encoding:
        remedy = f"convert it first: iconv -f {encoding} -t UTF-8 {path}"
        raise UserError(f"{path}: expected UTF-8, got {encoding}; {remedy}")
    if b"\r" in start[:-1] and b"\n" not in start:
        expected = r"expected lines that end in \n, got a file whose lines end in \r alone"
        raise UserError(rf"{path}: {expected}; convert it first: tr '\r' '\n' < {path}")


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32 by the byte order mark, or by zero bytes at half of the places."""
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    zeros = [start[first:4096:2].count(0) for first in (0, 1)]
    places = len(start[:4096]) // 2
    if places and max(zeros) > 0.7 * places and min(zeros) == 0:
        return "UTF-16BE" if zeros[0] else "UTF-16LE"
    return None


def check_rereadable(path: Path | str) -> None:
    """Checks that a file can be read more than once; a missing or remote file passes.

    Raises:
        UserError: the path is a named pipe, the output of a process or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        actual = "a pipe" if stat.S_ISFIFO(mode) else "a device"
        expected = f"expected a regular file, which is read again and again, got {actual}"
        raise UserError(f"{path}: {expected}; write its content to a file first: cat {path} > FILE")


def strip_byte_order_mark(line: bytes) -> bytes:
    """Returns the first line of a file without its byte order mark."""
    return line.removeprefix(BYTE_ORDER_MARK)


def strip_line_ending(line: bytes) -> bytes:
    r"""Returns a line without its `\n` or `\r\n`.

    Example:

    >>> from keras_s2s.io import strip_line_ending
    >>> strip_line_ending(b"one\r\n")
    b'one'
    """
    return line.removesuffix(b"\n").removesuffix(b"\r")


def strip_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the lines of a file without line endings and the byte order mark of the first."""
    for number, line in enumerate(lines):
        yield strip_line_ending(line if number else strip_byte_order_mark(line))


def decode_lines(lines: Iterable[bytes], path: Path | str) -> Iterator[str]:
    """As `strip_lines`, for text.

    Args:
        lines: The lines of a file from its first.
        path: The name of the file in an error message.

    Raises:
        UserError: As `check_utf8`.
    """
    for number, line in enumerate(lines, 1):
        check_utf8([line], path, number)
        yield strip_line_ending(line if number > 1 else strip_byte_order_mark(line)).decode()


def describe_invalid_byte(error: UnicodeDecodeError) -> str:
    """Returns the first invalid byte of a line and its column."""
    return f"byte 0x{error.object[error.start]:02x} at column {error.start + 1}"


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
                invalid = (number == 1 and _describe_start(line)) or describe_invalid_byte(error)
                raise UserError(f"{path}:{number}: expected UTF-8, got {invalid}") from None


def _describe_start(line: bytes) -> str:
    """What the first line of a file shows that is not UTF-8 text; "" for nothing known."""
    kind = _compression(line, "")
    if kind:
        return f"a {kind} file; decompress it first"
    encoding = _wide_encoding(line)
    return f"{encoding}; convert it first: iconv -f {encoding} -t UTF-8" if encoding else ""


@contextlib.contextmanager
def naming_file(path: Path | str) -> Iterator[None]:
    """Turns the errors of reading a text file, plain or compressed, into a `UserError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: expected a text file, got: {error.strerror}") from None
        kind = _named_compression(path) or "compressed"
        raise UserError(f"{path}: expected a whole {kind} file, got: {error}") from None


@contextlib.contextmanager
def path_without_wildcards(directory: Path | str) -> Iterator[Path]:
    r"""Provides a path to a directory for TensorFlow's readers of checkpoints and SavedModels.

    TensorFlow takes the path for a pattern and reports that no file matches, see `has_wildcards`.
    The block gets a symbolic link to such a directory, which is removed with the block, and any
    other directory as it is.

    Raises:
        UserError: the directory for temporary files has such a path itself.
    """
    path = Path(directory).absolute()
    if not has_wildcards(path):
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="keras-s2s-") as folder:
        if has_wildcards(folder):
            remedy = "rename the directory, or set TMPDIR to one without them"
            raise UserError(f"{path}: expected a path without [ and \\, got one: {remedy}")
        link = Path(folder) / "link"
        link.symlink_to(path, target_is_directory=True)
        yield link


def has_wildcards(path: Path | str) -> bool:
    r"""Returns whether TensorFlow would take a checkpoint's path for a pattern.

    In a pattern `[abc]` and `\` do not stand for themselves; `*` and `?` match themselves too.
    """
    return any(character in str(path) for character in _WILDCARDS)
