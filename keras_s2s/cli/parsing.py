"""Words of a command line: one-line errors, the nearest command, checked numbers."""

import argparse
import difflib

__all__ = ["Parser", "add_command", "integer", "number"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest command."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")

    def _check_value(self, action, value):
        if action.choices is None or value in action.choices:
            return
        nearest = difflib.get_close_matches(str(value), list(map(str, action.choices)), n=1)
        hint = f"; the nearest is {nearest[0]}" if nearest else ""
        expected = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"expected one of {expected}, came {value}{hint}")


def add_command(commands, name, run, summary) -> Parser:
    """Adds the sub-command `name`, which calls `run(arguments)`; `summary` is its one line."""
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def integer(low: int = 1):
    """A type for `add_argument`: a whole number of at least `low`."""
    return _checked(int, low, f"a whole number of at least {low}")


def number(low: float = 0.0):
    """A type for `add_argument`: a finite number of at least `low`."""
    return _checked(float, low, f"a number of at least {low:g}")


def _checked(kind, low, expected):
    def convert(word):
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not low <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected {expected}, came {word}")
        return value

    return convert
