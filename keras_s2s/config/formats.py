"""Which files hold frames, sequences of real vectors, and not text."""

__all__ = ["is_frames"]

_ENDINGS = (".npz", ".tfrecord", ".tfrecords")


def is_frames(path) -> bool:
    """Whether a file's name says that it holds frames and not text."""
    return str(path).endswith(_ENDINGS)
