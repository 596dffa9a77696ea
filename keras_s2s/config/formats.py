"""File name suffixes of feature files."""

from pathlib import Path

__all__ = ["is_feature_file"]

FEATURE_SUFFIXES = (".npz", ".tfrecord", ".tfrecords")


def is_feature_file(path: Path | str | None) -> bool:
    """Whether a file name denotes real-valued sequences (features) and not text.

    Example:

    >>> from keras_s2s.config import is_feature_file
    >>> is_feature_file("speech.npz"), is_feature_file("text.en")
    (True, False)
    """
    return str(path).endswith(FEATURE_SUFFIXES)
