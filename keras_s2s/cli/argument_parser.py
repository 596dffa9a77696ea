"""Argument parser with one-line errors, suggestions and checked numbers."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from keras_s2s.config.synonyms import nearest

__all__ = ["Parser", "add_command", "integer", "number"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest command."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, formatter_class=_Help, **options)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parses arguments; overrides such as `a.b=1` may come before or after options."""
        arguments, rest = self.parse_known_args([_expand_home(word) for word in argv])
        # argparse does not assign words after an option once `*` has matched zero words
        if any(word.startswith("-") for word in rest) or not hasattr(arguments, "overrides"):
            if rest:
                self.error(f"unrecognized arguments: {' '.join(rest)}")
        else:
            arguments.overrides = [*arguments.overrides, *rest]
        return arguments

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")

    def _check_value(self, action, value):
        if action.choices is None or value in action.choices:
            return
        name = nearest(str(value), map(str, action.choices))
        hint = f"; the nearest is {name}" if name else ""
        expected = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"expected one of {expected}, got {value}{hint}")


def _expand_home(word: str) -> str:
    """A word such as `--run-dir=~/run` with the home directory, which shells do not expand."""
    option, equals, value = word.partition("=")
    is_path = option.startswith("--") and equals and value.startswith("~/")
    return f"{option}={os.path.expanduser(value)}" if is_path else word


class _Help(argparse.HelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=30)


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], Any],
    summary: str,
) -> Parser:
    """Adds the sub-command `name`, which calls `run(arguments)`; `summary` is its help line."""
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def integer(low: int = 1, high: int | None = None, bits: int = 64) -> Callable[[str], int]:
    """Returns an `add_argument` type for integers from `low` to `high` that fit in `bits` bits."""
    type_range = integer(low, 2 ** (bits - 1) - 1) if high is None else None
    return _checked(int, low, high, "an integer", type_range)


def number(low: float = 0.0, high: float | None = None) -> Callable[[str], float]:
    """Returns an `add_argument` type for finite numbers from `low` to `high`."""
    return _checked(float, low, high, "a number")


def _checked(kind, low, high, description, type_range=None):
    form = "g" if kind is float else "d"
    bounds = f"of at least {low:{form}}" if high is None else f"from {low:{form}} to {high:{form}}"

    def convert(word):
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not low <= value <= (sys.float_info.max if high is None else high):
            raise argparse.ArgumentTypeError(f"expected {description} {bounds}, got {word}")
        return type_range(word) if type_range else value  # whose error names the bound

    return convert
