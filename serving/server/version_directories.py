"""Version directories below the base path of a model, as TensorFlow Serving names them."""

import os
import re
from pathlib import Path

from keras_s2s.serving.errors import StartError

__all__ = ["SAVED_MODEL", "find_version", "find_versions"]

SAVED_MODEL = "saved_model.pb"
_INT64 = 2**63


def find_versions(base_path: Path) -> dict[int, Path]:
    """Returns the version directories below a base path, by number.

    A child counts if its whole name is a decimal number, so `.tmp-7` does not. Of `7` and `007`
    the last in alphabetical order is used.

    Args:
        base_path: the directory that holds `1/`, `2/`, ...

    Raises:
        OSError: if the base path cannot be listed.
    """
    children = sorted(base_path.iterdir(), key=lambda child: child.name)
    numbered = [child for child in children if re.fullmatch("[0-9]+", child.name)]
    return {int(child.name): child for child in numbered if int(child.name) < _INT64}


def find_version(path: str | os.PathLike[str], skip_incomplete: bool = False) -> tuple[Path, int]:
    """Returns the directory of a SavedModel and its version number, 0 if the name is no number.

    Args:
        path: the directory itself, or a base path, of which the highest version is used.
        skip_incomplete: ignore versions without `saved_model.pb`, such as a copy in progress.

    Raises:
        StartError: if there is no SavedModel.
    """
    directory = Path(path)
    if not (directory / SAVED_MODEL).is_file():
        versions = find_versions(directory) if directory.is_dir() else {}
        if skip_incomplete:
            versions = {n: v for n, v in versions.items() if (v / SAVED_MODEL).is_file()}
        directory = versions[max(versions)] if versions else directory
        if not (directory / SAVED_MODEL).is_file():
            raise StartError(
                f"{directory}: expected a SavedModel, got a path without {SAVED_MODEL}"
            )
    name = directory.absolute().name
    return directory, int(name) if name.isdecimal() else 0
