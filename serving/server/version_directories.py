"""Lookup of the version directory of a SavedModel."""

import os
from pathlib import Path

from keras_s2s.serving.errors import StartError
from keras_s2s.signatures.version_directories import (
    SAVED_MODEL,
    is_saved_model,
    list_versions,
    version_number,
)

__all__ = ["find_version"]


def find_version(path: str | os.PathLike[str], skip_incomplete: bool = False) -> tuple[Path, int]:
    """Returns the directory of a SavedModel and its version number, 0 if the name is no number.

    Args:
        path: the directory itself, or a base path, of which the highest version is used.
        skip_incomplete: ignore versions without `saved_model.pb`, such as a copy in progress.

    Raises:
        StartError: if there is no SavedModel.
    """
    directory = Path(path)
    if not is_saved_model(directory):
        versions = list_versions(directory) if directory.is_dir() else {}
        if skip_incomplete:
            versions = {n: v for n, v in versions.items() if is_saved_model(v)}
        directory = versions[max(versions)] if versions else directory
        if not is_saved_model(directory):
            raise StartError(
                f"{directory}: expected a SavedModel, got a path without {SAVED_MODEL}"
            )
    return directory, version_number(directory.absolute().name) or 0
