"""Base classes of Apache Beam, which is an optional dependency."""

from typing import Any

try:
    import apache_beam
except ModuleNotFoundError as error:
    if error.name != "apache_beam":
        raise
    apache_beam = None

__all__ = ["DoFn", "PTransform", "check_beam_installed"]

# Without Beam the classes of this package can be imported, but not used.
DoFn: Any = apache_beam.DoFn if apache_beam else object
PTransform: Any = apache_beam.PTransform if apache_beam else object


def check_beam_installed() -> None:
    """Raises an error that names the missing extra.

    Raises:
        ImportError: if Apache Beam is not installed.
    """
    if apache_beam is None:
        raise ImportError(
            "Apache Beam is not installed; it comes with: pip install 'keras-s2s[beam]'"
        )
