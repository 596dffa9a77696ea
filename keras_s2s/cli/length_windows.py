"""Files of any size in constant memory: window by window, each in batches of like lengths."""

import hashlib
import itertools
import sys

from keras_s2s.cli.argument_parser import integer
from keras_s2s.cli.text_streams import chunk_size, chunks
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

SHOWN = 5


def add_window_options(parser) -> None:
    """Adds how many lines are taken together, and `--resume`."""
    add_batch_option(parser)
    parser.add_argument(
        "--window",
        type=integer(),
        default=2048,
        metavar="N",
        help="lines that are read, put in order of length and written together (default: 2048)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where the same command, with --input and --output files, was interrupted",
    )


def add_batch_option(parser) -> None:
    """Adds how many sentences the model sees at once."""
    parser.add_argument(
        "--batch-size",
        type=integer(),
        default=32,
        metavar="N",
        help="sentences at a time (default: 32)",
    )


def fingerprint(rows) -> dict:
    """How many rows of text (tuples of str and None) there are, and a hash of all."""
    lines, digest = 0, hashlib.sha256()
    for row in rows:
        lines += 1
        digest.update(b"\0".join(map(_bytes, row)) + b"\n")
    return {"lines": lines, "sha256": digest.hexdigest()}


def _bytes(cell):
    """A text, None, or an array of frames."""
    return (cell or "").encode() if cell is None or isinstance(cell, str) else cell.tobytes()


def process_windows(rows, output, path, work, window, total=None) -> None:
    """Puts rows through `work`, window by window, and its lines into `output`.

    Args:
        rows: of the input, from its first on; what `output` holds is passed over.
        output: an open `Output` or `Partial`.
        path: of the input, `-` where a person may be typing.
        work: its `name` is shown; its `state` is a dict that `output` keeps;
            `work.lines(rows, first, done)` gives the lines for rows, of which `first` (from 0) is
            the number of the first one, and calls `done` with a number of rows for every batch.
        window: how many rows to take together.
        total: how many rows there are; None when nobody knows.
    """
    work.state.update(output.state)
    size = chunk_size(path, window)
    with progress_bar(work.name, total, output, output.done) as shown:
        for taken in chunks(itertools.islice(rows, output.done, None), size):
            for line in work.lines(taken, output.done, shown.update):
                output.write(line)
            output.mark(output.done + len(taken), dict(work.state))


def run_in_length_batches(ask, items, lengths, size, done) -> tuple[list, dict[int, str]]:
    """Asks a model about items in batches of like lengths.

    Args:
        ask: a list of items -> a result for each, and what was wrong by place.
        items, lengths: lists.
        size: of a batch, at most.
        done: is called with the size of each batch.

    Returns:
        The results in the order of the items, and what was wrong with some by their places.
    """
    order = sorted(range(len(items)), key=lengths.__getitem__)
    found, errors = [None] * len(items), {}
    for places in chunks(order, size):
        results, problems = ask([items[place] for place in places])
        for row, place in enumerate(places):
            found[place] = results[row]
            if row in problems:
                errors[place] = problems[row]
        done(len(places))
    return found, errors


class RowErrors:
    """What was wrong with single lines; the work goes on, and at the end it is said.

    Args:
        state: a dict that holds it: how many there are, and the first.
    """

    def __init__(self, state):
        self._state = state

    def add(self, place: str, message: str) -> None:
        """Notes what was wrong at a place such as `line 3`."""
        self._state["problems"] = self._state.get("problems", 0) + 1
        if self._state["problems"] <= SHOWN:
            self._state["first"] = [*self._state.get("first", []), f"{place}: {message}"]

    def complain(self) -> None:
        """Ends the command if something was wrong.

        Raises:
            UserError: naming the first lines.
        """
        if count := self._state.get("problems", 0):
            more = f"; and {count - SHOWN:,} more" if count > SHOWN else ""
            raise UserError("; ".join(self._state["first"]) + more)


def progress_bar(what, total=None, output=None, done=0):
    """Progress and time left on the standard error, where a person watches it alone."""
    from tqdm import tqdm

    crossed = output is not None and output.path is None and sys.stdout.isatty()
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=" lines",
        disable=crossed or None,
        file=sys.stderr,
    )
