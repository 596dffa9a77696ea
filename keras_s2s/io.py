"""Atomic writes, file locks and flushing to disk.

A reader sees a file or directory written here either complete or in its previous state, even when
the writing process is killed.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_s2s.errors import UserError

__all__ = [
    "acquire_lock",
    "atomic_path",
    "flush_file",
    "flush_tree",
    "new_directory",
    "write_atomically",
]


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
