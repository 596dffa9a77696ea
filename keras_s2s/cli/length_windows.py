"""Processing of files of any size in windows of lines, each sorted into batches by length."""

import argparse
import hashlib
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keras_s2s.cli.argument_parser import integer
from keras_s2s.cli.text_streams import LineOutput, chunk_size, chunks
from keras_s2s.errors import UserError

__all__ = [
    "RowErrors",
    "add_batch_option",
    "add_window_options",
    "fingerprint",
    "process_windows",
    "progress_bar",
    "run_in_length_batches",
]

MAX_SHOWN = 5


def add_window_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--batch-size`, `--window` and `--resume`."""
    add_batch_option(parser)
    parser.add_argument(
        "--window",
        type=integer(),
        default=2048,
        metavar="N",
        help="lines that are read, sorted by length and written together (default: 2048)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue where the same command, with --input and --output files, was interrupted",
    )


def add_batch_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--batch-size`."""
    parser.add_argument(
        "--batch-size",
        type=integer(),
        default=32,
        metavar="N",
        help="sentences at a time (default: 32)",
    )


def fingerprint(rows: Iterable[tuple]) -> dict[str, Any]:
    """Returns the number of rows (tuples of strings, arrays and None) and a hash of all."""
    lines, digest = 0, hashlib.sha256()
    for row in rows:
        lines += 1
        digest.update(b"\0".join(map(_bytes, row)) + b"\n")
    return {"lines": lines, "sha256": digest.hexdigest()}


def _bytes(cell):
    """The bytes of a text, of None, or of an array of features."""
    return (cell or "").encode() if cell is None or isinstance(cell, str) else cell.tobytes()


def process_windows(
    rows: Iterable,
    output: LineOutput,
    path: str | Sequence,
    job: Any,
    window: int,
    total: int | None = None,
) -> None:
    """Runs a job over rows, window by window, and writes its lines.

    Args:
        rows: iterable of all rows of the input. Rows that `output` already holds are skipped.
        output: an open `LineOutput` or `ResumableOutput`.
        path: path of the input, `-` for the standard input.
        job: object with `name`, the label of the progress bar; `state`, a dict that `output`
            keeps; and `lines(rows, first, done)`, which yields the lines for rows, the first of
            which has the number `first` (from 0), and calls `done` with a number of rows for
            every batch.
        window: number of rows to process together.
        total: number of rows; None if unknown.
    """
    job.state.update(output.state)
    size = chunk_size(path, window)
    with progress_bar(job.name, total, output, output.done) as bar:
        for batch in chunks(itertools.islice(rows, output.done, None), size):
            for line in job.lines(batch, output.done, bar.update):
                output.write(line)
            output.commit(output.done + len(batch), dict(job.state))


def run_in_length_batches(
    call: Callable, items: list, lengths: list[int], size: int, done: Callable[[int], Any]
) -> tuple[list, dict[int, str]]:
    """Calls a model on items in batches of similar lengths.

    Args:
        call: function of a list of items that returns a result for each, and a dict of error
            messages by position.
        items: list of items.
        lengths: list of their lengths.
        size: maximum size of a batch.
        done: function that is called with the size of each batch.

    Returns:
        The results in the order of the items, and a dict of error messages by position.
    """
    order = sorted(range(len(items)), key=lengths.__getitem__)
    results, errors = [None] * len(items), {}
    for positions in chunks(order, size):
        batch, messages = call([items[position] for position in positions])
        for row, position in enumerate(positions):
            results[position] = batch[row]
            if row in messages:
                errors[position] = messages[row]
        done(len(positions))
    return results, errors


class RowErrors:
    """Errors of single lines, which are reported together at the end.

    Args:
        state: dict that stores the number of errors and the first messages.
    """

    def __init__(self, state: dict[str, Any]):
        self._state = state

    def add(self, location: str, message: str) -> None:
        """Adds the error of a location such as `line 3`."""
        self._state["problems"] = self._state.get("problems", 0) + 1
        if self._state["problems"] <= MAX_SHOWN:
            self._state["first"] = [*self._state.get("first", []), f"{location}: {message}"]

    def raise_if_any(self) -> None:
        """Raises the collected errors.

        Raises:
            UserError: if there are any; names the first lines.
        """
        if count := self._state.get("problems", 0):
            more = f"; and {count - MAX_SHOWN:,} more" if count > MAX_SHOWN else ""
            raise UserError("; ".join(self._state["first"]) + more)


def progress_bar(
    label: str, total: int | None = None, output: LineOutput | None = None, done: int = 0
) -> Any:
    """Returns a progress bar on the standard error, shown only at a terminal."""
    from tqdm import tqdm

    shares_terminal = output is not None and output.path is None and sys.stdout.isatty()
    return tqdm(
        desc=label,
        total=total,
        initial=done,
        unit=" lines",
        disable=shares_terminal or None,
        file=sys.stderr,
    )
