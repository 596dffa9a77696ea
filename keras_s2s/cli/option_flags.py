"""The options of a search and of sampling as flags, made from the tables of `signatures`."""

import argparse

from keras_s2s.cli.argument_parser import integer, number
from keras_s2s.errors import UserError
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE

__all__ = [
    "add_checkpoint_option",
    "add_line_options",
    "add_sampling_options",
    "add_search_options",
    "search_options",
]

INT32 = 2**31
ALIASES = {"num_hypotheses": ["--n-best"]}
LISTS = {
    "constraints": ("--constraint", "a text that the target must hold; may be repeated"),
    "disallowed": ("--disallowed", "a token or text that it must not hold; may be repeated"),
}
WORDS = {"prefix_tokens"}  # whose value is a list parted by blanks on the command line
BY_LINE = {"constraints": "--constraints-file", "target_prefix": "--prefix-file"}


def add_checkpoint_option(parser) -> None:
    """Adds the choice among the checkpoints of a run."""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        default="best",
        help="which of the run's checkpoints (default: best)",
    )


def add_search_options(parser, without=()) -> None:
    """Adds every option of the signature `translate` but those named."""
    group = parser.add_argument_group("search", "left out: the model's own defaults")
    for field in TRANSLATE.options().values():
        if field.name not in without:
            _add(group, field)


def add_line_options(parser) -> None:
    """Adds the files that give options line by line."""
    group = parser.add_argument_group("search, line by line")
    group.add_argument(
        "--constraints-file",
        metavar="FILE",
        help="a line for every line of the input: texts that its target must hold, tabs between",
    )
    group.add_argument(
        "--prefix-file",
        metavar="FILE",
        help="a line for every line of the input: what its target begins with",
    )


def add_sampling_options(parser) -> None:
    """Adds `--sample` and the options that only the signature `sample` has."""
    group = parser.add_argument_group("sampling", "in place of a search")
    group.add_argument("--sample", action="store_true", help="draw targets at random")
    for field in SAMPLE.options().values():
        if field.name == "seed":
            more = "draws are a function of it and of the line: line N of the input takes N - 1"
            group.add_argument(
                "--seed", type=_type(field), metavar="N", help=f"{more} more (default: 0)"
            )
        elif field.name not in TRANSLATE.options():
            _add(group, field)


def _add(group, field):
    flag, meaning = _flag(field.name), field.description.replace("%", "%%")
    if field.name in LISTS:
        flag, meaning = LISTS[field.name]
        group.add_argument(
            flag, dest=field.name, action="append", metavar="TEXT", help=meaning, default=None
        )
    elif field.dtype == "bool":
        action = argparse.BooleanOptionalAction
        group.add_argument(flag, action=action, default=None, help=meaning)
    elif field.dtype == "string":
        meaning = meaning.replace("one a line", "blanks between")
        group.add_argument(flag, metavar="TEXT", help=meaning)
    else:
        metavar = "X" if field.dtype.startswith("float") else "N"
        flags = [flag, *ALIASES.get(field.name, ())]
        group.add_argument(*flags, type=_type(field), metavar=metavar, help=meaning)


def _type(field):
    """Checks the type and the bounds that hold for every model; an export may set other caps."""
    high = None if isinstance(field.high, str) else field.high
    if field.dtype.startswith("float"):
        return number(field.low, high)
    return integer(-INT32 if field.low is None else field.low, high, bits=32)


def _flag(name):
    return LISTS[name][0] if name in LISTS else "--" + name.replace("_", "-")


def search_options(arguments) -> dict:
    """The options that were given for all lines, by the names of the signature asked for.

    Raises:
        UserError: an option of the other signature was given, or one both ways.
    """
    sampling = getattr(arguments, "sample", False)
    mine, other = (SAMPLE, TRANSLATE) if sampling else (TRANSLATE, SAMPLE)
    known = mine.options()
    given = {name: getattr(arguments, name, None) for name in {**known, **other.options()}}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in known:
            came = "came with it" if sampling else "came without"
            expected = "a search, without --sample" if sampling else "--sample"
            raise UserError(f"{_flag(name)}: expected {expected}, {came}")
    _check_files(arguments, known, given)
    for name in (LISTS.keys() | WORDS) & given.keys():
        given[name] = "\n".join(given[name].split() if name in WORDS else given[name])
    return given


def _check_files(arguments, known, given):
    for name, flag in BY_LINE.items():
        if getattr(arguments, flag.strip("-").replace("-", "_"), None) is None:
            continue
        if name not in known:
            raise UserError(f"{flag}: expected a search, without --sample, came with it")
        if name in given and name not in LISTS:
            raise UserError(f"{flag}: expected {_flag(name)} or it, came both")
