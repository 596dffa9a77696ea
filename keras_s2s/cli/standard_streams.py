"""The three standard streams, of which a caller may have closed any."""

import os
import sys

from keras_s2s.errors import UserError

__all__ = ["open_stream", "reserve_standard_streams"]


def reserve_standard_streams() -> None:
    """Keeps the numbers of closed streams, lest a file that is opened later stands for one.

    What would be said on a closed standard error goes nowhere.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  as long as the process


def open_stream(name: str):
    """`sys.stdin` or `sys.stdout`.

    Raises:
        UserError: it is closed.
    """
    stream = getattr(sys, name)
    if stream is None:
        what = {"stdin": "standard input", "stdout": "standard output"}[name]
        raise UserError(f"{what}: expected an open one, came a closed one")
    return stream
