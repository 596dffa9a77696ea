"""Atomic publication of model versions in a directory that a server watches.

A version is written to a staging directory `.export-...` beside the published versions. The name
is no number, so a server ignores it. The exporting process holds a lock on its staging directory;
a staging directory without a lock belongs to a killed process, and the next export removes it.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_s2s.errors import UserError
from keras_s2s.io import acquire_lock, flush_tree
from keras_s2s.signatures.version_directories import MAX_VERSION, list_versions

__all__ = ["check_version", "keep_newest", "publish"]

PREFIX = ".export-"


def publish(
    directory: Path | str, version: int | None, write: Callable[[Path, Path], None]
) -> Path:
    """Writes a version and publishes it with one rename, after its files are on the disk.

    Args:
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        write: `write(path, scratch)` fills the new directory `path`. `scratch` is an empty
            directory for temporary files. An exception that it raises is raised here, and both
            directories are removed.

    Returns:
        The path of the published version.

    Raises:
        UserError: an invalid version, a version that exists already, or a directory that cannot
            be written.
    """
    check_version(directory, version)
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(directory)
        with _staging_directory(directory) as staging:
            path, scratch = staging / "version", staging / "scratch"
            path.mkdir()
            scratch.mkdir()
            write(path, scratch)
            flush_tree(path)
            return _rename_into_place(path, directory, version)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"directory {directory}: cannot be written: {reason}") from None


def check_version(directory: Path | str, version: int | None) -> None:
    """Checks that a version number is valid and not in use.

    Args:
        directory: base path of the served model.
        version: the number; None passes.

    Raises:
        UserError: `version` is not a positive integer, is too large, or exists in `directory`.
    """
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise UserError(f"version: expected a positive integer, got {version!r}")
    if version > MAX_VERSION:
        raise UserError(f"version: expected at most {MAX_VERSION}, got {version}")
    if not Path(directory).is_dir():
        return
    if version in list_versions(directory) or os.path.lexists(Path(directory, str(version))):
        raise UserError(f"version: expected one that is free, got {version}: {directory} has it")


def keep_newest(directory: Path | str, count: int) -> None:
    """Removes all versions except those with the `count` highest numbers.

    Each version disappears with one rename, so that a server never sees a part of it.

    Args:
        directory: base path of the served model.
        count: how many versions to keep.

    Example:
        >>> import os, tempfile
        >>> from keras_s2s.export import keep_newest
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     for version in ("1", "2", "10"):
        ...         os.mkdir(os.path.join(directory, version))
        ...     keep_newest(directory, 2)
        ...     sorted(os.listdir(directory))
        ['10', '2']
    """
    directory = Path(directory)
    versions = list_versions(directory) if directory.is_dir() else {}
    for path in list(versions.values())[:-count]:
        with (
            _staging_directory(directory) as staging,
            contextlib.suppress(FileNotFoundError),
        ):
            os.rename(path, staging / "version")


@contextlib.contextmanager
def _staging_directory(directory: Path) -> Iterator[Path]:
    """A new locked directory, removed at the end of the block."""
    staging, lock = _create_locked(directory)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def _create_locked(directory: Path) -> tuple[Path, int]:
    """A new staging directory and the file descriptor that holds its lock."""
    while True:
        staging = Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        lock = acquire_lock(staging, allow_unlocked=True)
        if lock is not None and staging.exists():
            return staging, lock
        if lock is not None:  # another export removed the directory before it was locked
            os.close(lock)


def _remove_abandoned(directory: Path) -> None:
    """Removes the staging directories of killed exports."""
    for staging in directory.glob(f"{PREFIX}*"):
        lock = acquire_lock(staging)
        if lock is not None:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(lock)


def _rename_into_place(staged: Path, directory: Path, version: int | None) -> Path:
    """Renames a finished version to its number, or to the next free one."""
    while True:
        path = directory / str(version or _free_number(directory))
        try:
            os.rename(staged, path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise UserError(f"{path}: cannot be published: {error.strerror}") from None
            check_version(directory, version)  # another export took the number meanwhile
        else:
            return path


def _free_number(directory: Path) -> int:
    """One more than the highest version, or the next number that no file has as its name."""
    number = max(list_versions(directory), default=0) + 1
    while os.path.lexists(directory / str(number)):
        number += 1
    return number
