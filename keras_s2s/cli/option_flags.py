"""Flags of the decoding options, derived from the table `signatures.OPTIONS`."""

import argparse
from collections.abc import Callable, Collection
from typing import Any

from keras_s2s.cli.argument_parser import integer, number
from keras_s2s.errors import UserError
from keras_s2s.signatures.decoding_option import DecodingOption
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.option_groups import signature_options
from keras_s2s.signatures.options import OPTIONS

__all__ = [
    "add_checkpoint_option",
    "add_line_options",
    "add_sampling_options",
    "add_search_options",
    "search_options",
]

INT32 = 2**31


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Adds the choice among the checkpoints of a run."""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        default="best",
        help="which of the run's checkpoints (default: best)",
    )


def add_search_options(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Adds every option of the signature `translate` except those in `without`."""
    described = "left out: the model's own defaults; those of a new run are shown"
    group = parser.add_argument_group("search", described)
    for option in signature_options(TRANSLATE.name):
        if option.name not in without:
            _add(group, option)


def add_line_options(parser: argparse.ArgumentParser) -> None:
    """Adds the files that give options line by line."""
    group = parser.add_argument_group("search, line by line")
    group.add_argument(
        OPTIONS["constraints"].flag.file,
        metavar="FILE",
        help="a line for every line of the input: texts that its target must contain, separated by"
        " tabs",
    )
    group.add_argument(
        OPTIONS["target_prefix"].flag.file,
        metavar="FILE",
        help="a line for every line of the input: text that its target begins with",
    )


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--sample` and the options that only the signature `sample` has."""
    group = parser.add_argument_group("sampling", "in place of a search")
    group.add_argument("--sample", action="store_true", help="sample targets at random")
    for option in signature_options(SAMPLE.name):
        if TRANSLATE.name not in option.signatures:
            _add(group, option)


def _add(group: Any, option: DecodingOption) -> None:
    flags = [option.flag_name, *option.flag.aliases]
    details: dict[str, Any] = {"dest": option.name, "default": None, "help": _help(option)}
    if option.flag.is_repeated:
        details |= {"action": "append", "metavar": "TEXT"}
    elif option.dtype == "bool":
        details |= {"action": argparse.BooleanOptionalAction}
    elif option.dtype == "string":
        details |= {"metavar": "TEXT"}
    else:
        metavar = "X" if option.dtype.startswith("float") else "N"
        details |= {"type": _type(option), "metavar": metavar}
    group.add_argument(*flags, **details)


def _help(option: DecodingOption) -> str:
    text = (option.flag.description or option.description).replace("%", "%%")
    return text if option.dtype == "string" else f"{text} (default: {_shown(option.default)})"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _type(option: DecodingOption) -> Callable[[str], float]:
    """Checks the type and the bounds that hold for every model; an export may set other caps."""
    high = None if isinstance(option.high, str) else option.high
    if option.dtype.startswith("float"):
        return number(option.low, high)
    return integer(-INT32 if option.low is None else option.low, high, bits=32)


def search_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that were given for all lines, by their names in the signature.

    Raises:
        UserError: an option of the other signature was given, or one in two ways.
    """
    is_sampling = getattr(arguments, "sample", False)
    signature, other = (SAMPLE, TRANSLATE) if is_sampling else (TRANSLATE, SAMPLE)
    known = signature.options()
    values = {name: getattr(arguments, name, None) for name in {**known, **other.options()}}
    values = {name: value for name, value in values.items() if value is not None}
    for name in values:
        if name not in known:
            got = "it" if is_sampling else "none"
            expected = "a search, without --sample" if is_sampling else "--sample"
            raise UserError(f"{OPTIONS[name].flag_name}: expected {expected}, got {got}")
    _check_files(arguments, known, values)
    for name in values:
        flag = OPTIONS[name].flag
        if flag.is_repeated or flag.is_split:
            items = values[name].split() if flag.is_split else values[name]
            values[name] = "\n".join(items)
    return values


def _check_files(
    arguments: argparse.Namespace, known: Collection[str], values: dict[str, Any]
) -> None:
    for option in OPTIONS.values():
        file = option.flag.file
        if file is None or getattr(arguments, file.strip("-").replace("-", "_"), None) is None:
            continue
        if option.name not in known:
            raise UserError(f"{file}: expected a search, without --sample, got it")
        if option.name in values and not option.is_list:
            raise UserError(f"{file}: expected {option.flag_name} or it, got both")
