"""Words of a command line: one-line errors, the nearest command, checked numbers."""

import argparse
import difflib
import sys

__all__ = ["Parser", "add_command", "integer", "number"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest command."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, formatter_class=_Help, **options)

    def parse(self, argv):
        """The arguments; words such as `training.updates=10` may stand before or after options."""
        arguments, rest = self.parse_known_args(argv)
        # argparse gives what follows an option to nobody once `*` has matched nothing
        if any(word.startswith("-") for word in rest) or not hasattr(arguments, "overrides"):
            if rest:
                self.error(f"unrecognized arguments: {' '.join(rest)}")
        else:
            arguments.overrides = [*arguments.overrides, *rest]
        return arguments

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")

    def _check_value(self, action, value):
        if action.choices is None or value in action.choices:
            return
        nearest = difflib.get_close_matches(str(value), list(map(str, action.choices)), n=1)
        hint = f"; the nearest is {nearest[0]}" if nearest else ""
        expected = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"expected one of {expected}, came {value}{hint}")


class _Help(argparse.HelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=30)


def add_command(commands, name, run, summary) -> Parser:
    """Adds the sub-command `name`, which calls `run(arguments)`; `summary` is its one line."""
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    return parser


def integer(low: int = 1, high: int | None = None, bits: int = 64):
    """A type for `add_argument`: a whole number from `low` to `high`, held in so many bits."""
    widest = integer(low, 2 ** (bits - 1) - 1) if high is None else None
    return _checked(int, low, high, "a whole number", widest)


def number(low: float = 0.0, high: float | None = None):
    """A type for `add_argument`: a finite number from `low` to `high`."""
    return _checked(float, low, high, "a number")


def _checked(kind, low, high, what, widest=None):
    form = "g" if kind is float else "d"
    bounds = f"of at least {low:{form}}" if high is None else f"from {low:{form}} to {high:{form}}"

    def convert(word):
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not low <= value <= (sys.float_info.max if high is None else high):
            raise argparse.ArgumentTypeError(f"expected {what} {bounds}, came {word}")
        return widest(word) if widest else value  # which names the end that it is beyond

    return convert
