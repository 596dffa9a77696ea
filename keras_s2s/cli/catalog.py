"""The command `catalog`: a list of presets, and of the parts of models."""

import argparse
import json
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.config.synonyms import nearest
from keras_s2s.errors import UserError

__all__ = ["TABLE", "add_commands"]

TABLE = "catalog.json"  # beside this module; `tools/catalog` writes it
_VOCABULARY = 32000


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `catalog` to the parser's sub-commands."""
    summary = "list the presets of models: name, number of parameters, paper"
    parser = add_command(commands, "catalog", _catalog, summary)
    parser.add_argument(
        "presets", nargs="*", metavar="PRESET", help="names of presets (default: all)"
    )
    parser.add_argument(
        "--vocabulary",
        type=integer(4, bits=31),
        default=_VOCABULARY,
        metavar="N",
        help=f"vocabulary size of both sides, to count parameters (default: {_VOCABULARY})",
    )
    parser.add_argument(
        "--parts", action="store_true", help="list the kinds of encoders, decoders, ... instead"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def _catalog(arguments):
    table = json.loads((Path(__file__).parent / TABLE).read_text(encoding="utf-8"))
    if arguments.parts:
        _print_parts(table["parts"], arguments.json)
        return
    rows = _preset_rows(table["presets"], arguments.presets, arguments.vocabulary)
    if arguments.json:
        print(json.dumps({"vocabulary": arguments.vocabulary, "presets": rows}))
        return
    print(f"parameters with {arguments.vocabulary:,} tokens on either side")
    name, size = (max(len(_cell(row[key])) for row in rows) for key in ("name", "parameters"))
    for row in rows:
        print(f"{row['name']:{name}}  {_cell(row['parameters']):>{size}}  {row['paper']}")


def _preset_rows(table, names, vocabulary_size):
    """The presets of these names, all without names, with their numbers of parameters."""
    presets = {row["name"]: row for row in table}
    for name in names:
        if name not in presets:
            similar = nearest(name, presets)
            hint = f"; the nearest is {similar!r}" if similar else ""
            expected = f"expected one of {', '.join(presets)}"
            raise UserError(f"PRESET: {expected}, got {name!r}{hint}")
    return [
        {
            "name": row["name"],
            "parameters": row["base"] + vocabulary_size * row["per_token"],
            "paper": row["paper"],
        }
        for row in map(presets.get, names or presets)
    ]


def _print_parts(rows, as_json):
    if as_json:
        print(json.dumps({"parts": rows}))
        return
    part, kind = (max(len(row[key]) for row in rows) for key in ("part", "kind"))
    for row in rows:
        print(f"{row['part']:{part}}  {row['kind']:{kind}}  {row['what']}")


def _cell(value):
    return f"{value:,}" if isinstance(value, int) else value
