"""Command line of the Beam pipeline."""

import argparse
from typing import NoReturn

from keras_s2s.signatures.fields import TRANSLATE, Field

__all__ = ["FORMATS", "PROG", "parse"]

PROG = "python -m keras_s2s.serving.pipeline"
FORMATS = {"text": "", "jsonl": ".jsonl"}  # suffixes of the output files


class _Parser(argparse.ArgumentParser):
    """A parser that prints an error without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns the parsed flags of the command, and the words for Beam.

    Raises:
        SystemExit: for `--help`, and with status 2 for flags that cannot be parsed.
    """
    parser = _Parser(
        prog=PROG,
        allow_abbrev=False,
        description="Translate the lines of files by an exported model on Apache Beam.",
        epilog="Other flags go to Beam: --runner NAME, --direct_num_workers N, ...",
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="an export, or the base path of some"
    )
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATTERN",
        help="text files, plain or compressed",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="PREFIX",
        help="of the outputs, one for each input; a folder if it ends in /",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="text (default): line N for line N"
    )
    parser.add_argument(
        "--batch-size",
        "--batch_size",
        type=int,
        default=32,
        metavar="N",
        help="lines at a time (default: 32)",
    )
    group = parser.add_argument_group("search", "left out: the export's own defaults")
    for field in TRANSLATE.options().values():
        _add_option(group, field)
    return parser.parse_known_args(argv)


def _add_option(group: argparse._ArgumentGroup, field: Field) -> None:
    """Adds the flag of an option, spelled with hyphens and with underscores."""
    flags = list(dict.fromkeys([f"--{field.name.replace('_', '-')}", f"--{field.name}"]))
    meaning = field.description.replace("%", "%%")
    if field.dtype == "bool":
        action = argparse.BooleanOptionalAction
        group.add_argument(*flags, action=action, default=None, help=meaning)
    elif field.is_list:
        meaning = meaning.replace("one a line", "blanks between")
        group.add_argument(*flags, nargs="+", action="extend", metavar="TEXT", help=meaning)
    elif field.dtype == "string":
        group.add_argument(*flags, metavar="TEXT", help=meaning)
    elif field.dtype.startswith("float"):
        group.add_argument(*flags, type=float, metavar="X", help=meaning)
    else:
        group.add_argument(*flags, type=int, metavar="N", help=meaning)
