"""Apache Beam where it is installed: what may be imported, and inherited from, without it."""

try:
    import apache_beam
except ModuleNotFoundError as error:
    if error.name != "apache_beam":
        raise
    apache_beam = None

__all__ = ["DoFn", "PTransform", "need_beam"]

DoFn = apache_beam.DoFn if apache_beam else object
PTransform = apache_beam.PTransform if apache_beam else object


def need_beam() -> None:
    """Says what to install.

    Raises:
        ImportError: if Apache Beam is not there.
    """
    if apache_beam is None:
        raise ImportError(
            "Apache Beam is not installed; it comes with: pip install 'keras-s2s[beam]'"
        )
