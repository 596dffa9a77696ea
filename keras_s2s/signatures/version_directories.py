"""Version directories below the base path of a model, as TensorFlow Serving names them."""

import re
from pathlib import Path

__all__ = ["MAX_VERSION", "SAVED_MODEL", "is_saved_model", "list_versions", "version_number"]

SAVED_MODEL = "saved_model.pb"
MAX_VERSION = 2**63 - 1  # TensorFlow Serving ignores a directory with a larger number


def version_number(name: str) -> int | None:
    """Returns the version that a directory's name stands for; None for other names.

    The whole name must be a decimal number: `007` is 7, `.tmp-7` is no version.

    Example:

    >>> from keras_s2s.signatures.version_directories import version_number
    >>> version_number("12"), version_number("12.tmp")
    (12, None)
    """
    number = int(name) if re.fullmatch("[0-9]+", name) else MAX_VERSION + 1
    return number if number <= MAX_VERSION else None


def list_versions(base_path: Path | str) -> dict[int, Path]:
    """Returns the version directories below a base path, by ascending number.

    Of `7` and `007` the last in alphabetical order is used. Files are no versions, whatever their
    name.

    Args:
        base_path: The directory that holds `1/`, `2/`, ...

    Raises:
        OSError: The base path cannot be listed.
    """
    children = sorted(Path(base_path).iterdir(), key=lambda child: child.name)
    versions = {}
    for child in children:
        number = version_number(child.name)
        if number is not None and child.is_dir():
            versions[number] = child
    return dict(sorted(versions.items()))


def is_saved_model(directory: Path | str) -> bool:
    """Returns whether a directory holds a SavedModel; a copy in progress may lack its graph."""
    return (Path(directory) / SAVED_MODEL).is_file()
