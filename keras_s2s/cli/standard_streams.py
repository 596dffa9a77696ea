"""Standard streams that the caller may have closed."""

import os
import sys
from typing import TextIO

from keras_s2s.errors import UserError

__all__ = ["open_stream", "reserve_standard_streams"]


def reserve_standard_streams() -> None:
    """Opens the null device for every closed standard stream.

    Otherwise a file opened later would get the number of the closed stream and receive its
    output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  open until the process ends


def open_stream(name: str) -> TextIO:
    """Returns `sys.stdin` or `sys.stdout`.

    Raises:
        UserError: if the stream is closed.
    """
    stream = getattr(sys, name)
    if stream is None:
        description = {"stdin": "standard input", "stdout": "standard output"}[name]
        raise UserError(f"{description}: expected an open stream, got a closed one")
    return stream
