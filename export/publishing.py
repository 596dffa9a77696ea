"""A directory that a server watches gets a new version whole, or not at all.

What is not finished lies in a folder `.export-...`, which is no number, so that a server does not
see it. Its maker holds a lock on it; one that no longer does was killed, and the next export
clears its folder away.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from keras_s2s.errors import UserError

__all__ = ["check_version", "keep_newest", "list_versions", "publish"]

MAX_VERSION = 2**63 - 1  # TensorFlow Serving does not see a directory of a greater number
PREFIX = ".export-"


def publish(directory, version, write) -> Path:
    """Publishes a version, once it is complete and on the disk.

    Args:
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        write: `write(path, beside)` fills the new directory `path`; `beside` is an empty one for
            whatever is not published. What it raises is raised here, and nothing stays.

    Returns:
        The path of the published version.

    Raises:
        UserError: a version that is none or exists already, a directory that cannot be written.
    """
    check_version(directory, version)
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _clear(directory)
        with _workplace(directory) as place:
            made, beside = place / "version", place / "beside"
            made.mkdir()
            beside.mkdir()
            write(made, beside)
            _flush(made)
            return _move(made, directory, version)
    except OSError as error:
        came = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"directory {directory}: cannot be written: {came}") from None


def check_version(directory, version) -> None:
    """Refuses, by a UserError, a `version` that is no positive integer or is in `directory`."""
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise UserError(f"version: expected a positive integer, came {version!r}")
    if version > MAX_VERSION:
        raise UserError(f"version: expected at most {MAX_VERSION}, came {version}")
    if version in list_versions(directory):
        raise UserError(f"version: expected one that is free, came {version}: {directory} has it")


def list_versions(directory) -> dict[int, Path]:
    """The versions that a server would see, by number: 007 is 7."""
    directory = Path(directory)
    paths = directory.iterdir() if directory.is_dir() else []
    found = {int(path.name): path for path in paths if path.name.isdecimal()}
    return {number: found[number] for number in sorted(found) if number <= MAX_VERSION}


def keep_newest(directory, count) -> None:
    """Removes all but the `count` versions of the highest numbers, each of them at once."""
    directory = Path(directory)
    for path in list(list_versions(directory).values())[:-count]:
        with _workplace(directory) as place, contextlib.suppress(FileNotFoundError):
            os.rename(path, place / "version")


@contextlib.contextmanager
def _workplace(directory):
    place, held = _locked(directory)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(held)


def _locked(directory):
    """A new folder and the descriptor that holds its lock."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        held = _lock(place, always=True)
        if held is not None and place.exists():
            return place, held
        if held is not None:  # cleared away by another export before it was locked
            os.close(held)


def _lock(place, always=False):
    """A descriptor of the folder with a lock on it; None if another has it, or it is gone.

    With `always` also one without a lock, where the file system has none.
    """
    try:
        held = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not always:
            os.close(held)
            return None
    return held


def _clear(directory):
    """Removes what killed exports left."""
    for place in directory.glob(f"{PREFIX}*"):
        held = _lock(place)
        if held is not None:
            shutil.rmtree(place, ignore_errors=True)
            os.close(held)


def _flush(path):
    """To the disk: a machine that stops must not leave a version of empty files."""
    for one in [*path.rglob("*"), path]:
        held = os.open(one, os.O_RDONLY)
        try:
            os.fsync(held)
        finally:
            os.close(held)


def _move(made, directory, version):
    """Renames the finished version into place, under the next number when none was asked for."""
    while True:
        number = version or max(list_versions(directory), default=0) + 1
        path = directory / str(number)
        try:
            os.rename(made, path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise UserError(f"{path}: cannot be published: {error.strerror}") from None
            check_version(directory, version)  # another export took the number meanwhile
        else:
            return path
