"""Exports on any file system that Beam supports."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_s2s.serving.beam.filesystems import is_remote, match_paths, open_raw
from keras_s2s.serving.beam.io import CorpusError
from keras_s2s.serving.errors import StartError
from keras_s2s.serving.server.version_directories import find_version
from keras_s2s.signatures.version_directories import SAVED_MODEL, version_number

__all__ = ["copy_export", "find_export", "local_copy"]


def find_export(model_dir: str | os.PathLike[str]) -> str:
    """Returns the directory of an export's version.

    Args:
        model_dir: that directory or the base path that holds `1/`, `2/`, ..., of which the
            highest complete version is used; local, or on a file system that Beam supports.

    Raises:
        CorpusError: if there is no export.
    """
    base = str(model_dir).rstrip("/")
    if is_remote(base):
        directory = _find_remote_version(base)
    else:
        with contextlib.suppress(StartError, OSError):
            return str(find_version(os.path.abspath(base or "/"), skip_incomplete=True)[0])
        directory = None
    if directory is None:
        raise CorpusError(f"{model_dir}: expected an export, DIR/VERSION/{SAVED_MODEL} or its DIR")
    return directory


def _find_remote_version(base: str) -> str | None:
    files = match_paths([f"{base}/{SAVED_MODEL}", f"{base}/*/{SAVED_MODEL}"])
    directories = [os.path.dirname(path) for path in files]
    if base in directories:
        return base
    versions = {version_number(path.split("/")[-1]): path for path in directories}
    versions.pop(None, None)
    return versions[max(versions)] if versions else None


@contextlib.contextmanager
def local_copy(directory: str) -> Iterator[Path]:
    """Provides a version's directory on the local disk; a copy is deleted with the context."""
    if not is_remote(directory):
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="keras-s2s-") as folder:
        copy_export(directory, Path(folder))
        yield Path(folder)


def copy_export(directory: str, folder: Path) -> None:
    """Copies the files of a directory to a local folder."""
    for path in match_paths([f"{directory}/**"]):
        target = folder / path.removeprefix(f"{directory}/")
        if not path.endswith("/"):  # some object stores list folders as files
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_raw(path) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
