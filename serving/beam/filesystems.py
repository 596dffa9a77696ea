"""Files on the local disk and on the file systems that Beam supports, such as `gs://`."""

import os
from typing import Any

__all__ = ["absolute_path", "create_raw", "filesystems", "is_remote", "match_paths", "open_raw"]


def filesystems() -> Any:
    """Returns Beam's `FileSystems`."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def is_remote(path: str) -> bool:
    """Returns whether a path is on a remote file system."""
    return "://" in path


def absolute_path(path: str) -> str:
    """Returns the absolute path of a local file; a remote path is absolute."""
    return path if is_remote(path) else os.path.abspath(path)


def match_paths(patterns: list[str]) -> list[str]:
    """Returns the sorted paths of all files that match a pattern."""
    matches = filesystems().match(patterns)
    return sorted({metadata.path for match in matches for metadata in match.metadata_list})


def open_raw(path: str) -> Any:
    """Opens a file for reading, without decompression."""
    if not is_remote(path):
        return open(path, "rb")
    from apache_beam.io.filesystem import CompressionTypes

    return filesystems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def create_raw(path: str) -> Any:
    """Opens a new file for writing, without compression."""
    from apache_beam.io.filesystem import CompressionTypes

    return filesystems().create(path, compression_type=CompressionTypes.UNCOMPRESSED)
