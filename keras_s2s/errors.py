"""Errors shared by every package."""

__all__ = ["UserError"]


class UserError(ValueError):
    """A mistake of the user: bad input, a bad configuration, a missing file.

    The text is one clear line. Commands print it and exit with `status`.
    """

    status = 2
