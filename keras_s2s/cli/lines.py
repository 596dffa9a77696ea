"""Lines in and out of a command: files or the standard streams, one line out for one line in."""

import contextlib
import itertools
import os
import sys
from pathlib import Path

from keras_s2s.config import UserError

__all__ = ["Output", "chunks", "one_line", "source_lines"]


def source_lines(path):
    """The lines of a file (`-`: the standard input) without their ends, one at a time.

    Raises:
        UserError: the file is missing or a line is not UTF-8; names file and line.
    """
    if path == "-":
        return _standard_input()
    from keras_s2s.data import read_lines

    return read_lines(path)


def _standard_input():
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            raise UserError(f"standard input:{number}: expected UTF-8, came {came}") from None
        yield text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}") if number == 1 else text


def chunks(lines, size):
    """Lists of `size` items, the last one shorter."""
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def one_line(text: str, separators: str = "\r\n") -> str:
    """The text with blanks for `separators`, so that lines out stay as many as lines in."""
    return text.translate(dict.fromkeys(map(ord, separators), " "))


class Output(contextlib.AbstractContextManager):
    """Where a command's lines go: the standard output, or a file that appears when all is well.

    Args:
        path: a file, written beside and renamed at the end; None or `-` for the standard output.

    Raises:
        UserError: the folder of the file is not there.
    """

    def __init__(self, path=None):
        self.path = None if path in (None, "-") else Path(path)
        self._beside = None
        if self.path is None:
            sys.stdout.reconfigure(encoding="utf-8")
            self._file = sys.stdout
        elif not self.path.parent.is_dir():
            raise UserError(f"--output {path}: expected a folder that exists")
        else:
            self._beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
            self._file = self._beside.open("w", encoding="utf-8", newline="\n")

    def write(self, line: str) -> None:
        """Adds one line."""
        self._file.write(line + "\n")

    def flush(self) -> None:
        """Lets a reader of the standard output see what is there."""
        self._file.flush()

    def __exit__(self, failed, error, trace):
        if self._beside is None:
            self._file.flush()
            return
        self._file.close()
        if failed is None:
            os.replace(self._beside, self.path)
        else:
            self._beside.unlink(missing_ok=True)
