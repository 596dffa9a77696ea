"""The command `attention`: attention maps of a pair as a table, JSON, page or picture."""

import argparse
import hashlib
import sys
import unicodedata
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

DIGITS = 6
PICTURES = ("png", "svg")
KINDS = ("json", "html", *PICTURES)
GRIDS = {"cross": "all", "self": "decoder", "encoder": "encoder"}


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `attention` to the parser's sub-commands."""
    parser = add_command(commands, "attention", _attention, "show the attention maps of a pair")
    add_model_arguments(parser)
    parser.add_argument("--text", required=True, metavar="TEXT", help="the source")
    parser.add_argument(
        "--target", metavar="TEXT", help="the target (default: the best hypothesis of a search)"
    )
    parser.add_argument(
        "--map",
        metavar="NAME",
        help="for tables and pictures: a map, or a grid of all cross-attention maps (all) or "
        "self-attention maps (encoder, decoder); default: the mean of the cross-attention maps",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="FILE.json: all maps; FILE.html: an interactive page; FILE.png, FILE.svg: "
        "a picture (default: a table)",
    )
    parser.add_argument(
        "--logdir",
        metavar="DIR",
        help="add the pair to the Attention tab of TensorBoard in this directory",
    )
    parser.add_argument("--json", action="store_true", help="print all maps as JSON")


def _attention(arguments):
    kind = _kind(arguments)
    if arguments.map and kind in ("json", "html"):
        raise UserError(f"--map: expected a table or a picture, got {kind}, which holds all maps")
    with open_model(arguments) as model:
        result, target = _attend(model, arguments.text, arguments.target)
    figure = None if kind in ("json", "html") else _select_map(result, arguments.map, kind)
    if arguments.logdir is not None:
        _log(arguments, result, target)
    if kind == "html":
        from keras_s2s.tensorboard.attention_records import make_record
        from keras_s2s.tensorboard.standalone import html

        write_atomically(arguments.output, html([make_record(result, target)]))
    elif kind in PICTURES:
        from keras_s2s.tensorboard.figures import save_attention

        save_attention(arguments.output, **figure)
    elif kind == "json":
        with LineOutput(arguments.output) as output:
            output.write(dump_json(_as_dict(arguments.text, result), ensure_ascii=False))
    elif arguments.logdir is None or arguments.map:
        with LineOutput() as output:
            for line in _table(**figure):
                output.write(line)


def _kind(arguments):
    """The kind of output: a table, JSON, a page or a picture."""
    path = arguments.output
    if path in (None, "-"):
        return "json" if arguments.json or path else "table"
    kind = Path(path).suffix.lower().strip(".")
    if kind not in KINDS:
        expected = f"{', '.join(f'.{suffix}' for suffix in KINDS[:-1])} or .{KINDS[-1]}"
        raise UserError(f"--output {path}: expected a name that ends in {expected}")
    if kind != "json" and arguments.json:
        raise UserError(f"--output {path}: expected --json or a .{kind}, got both")
    if not Path(path).parent.is_dir():
        raise UserError(f"--output {path}: expected a folder that exists")
    return kind


def _log(arguments, result, target):
    """Writes one record to a new event file, under a tag that depends on the pair."""
    from keras_s2s.tensorboard.attention_records import make_record, write

    name = hashlib.sha256(f"{arguments.text}\n{target}".encode()).hexdigest()[:8]
    try:
        path = write(arguments.logdir, f"attention/{name}", make_record(result, target), 0)
    except OSError as error:
        raise UserError(f"--logdir {arguments.logdir}: {error.strerror}") from None
    print(f"wrote {path}", file=sys.stderr)


def _attend(model, text, target):
    """Returns the `Attention` of a pair, and the target."""
    if target is not None:
        return model.attention([text], targets=[target])[0], target
    results, errors = model.translate([text], alignment=False)
    if errors:
        raise UserError(errors[0])
    tokens, target = (results[0][0].tokens, results[0][0].text) if results[0] else ([], "")
    if any("\n" in token for token in tokens):  # a list of tokens is separated by newlines
        return model.attention([text], targets=[target])[0], target
    return model.attention([text], target_tokens=[tokens])[0], target


def _as_dict(text, result):
    maps = {
        "maps": (result.names, result.attention),
        "encoder_maps": (result.encoder_names, result.encoder_attention),
        "decoder_maps": (result.decoder_names, result.decoder_attention),
    }
    row = {"source": text, "source_tokens": result.source_tokens, "tokens": result.tokens}
    return row | {
        kind: {name: _rounded(weights) for name, weights in zip(names, values, strict=True)}
        for kind, (names, values) in maps.items()
        if values is not None
    }


def _rounded(weights):
    return [[round(float(x), DIGITS) for x in line] for line in weights]


def _select_map(result, name, kind):
    """Arguments of `save_attention` and `_table`: one map [T, S], or a grid [A, T, S]."""
    names, grids = list(result.names), {}
    figure = {"source_tokens": result.source_tokens, "target_tokens": result.tokens}
    if kind in PICTURES:
        from keras_s2s.tensorboard.attention_records import attention_maps
        from keras_s2s.tensorboard.figures import attention_grid

        grids = {GRIDS[of]: of for of in attention_maps(result)}
    if name in grids:
        grid = attention_grid(result, grids[name])
        return grid | {"title": f"{name}: {len(grid['names'])} maps"}
    if name is None:
        title = names[0] if len(names) == 1 else f"mean of {len(names)} maps"
        return figure | {"title": title, "weights": result.attention.mean(0)}
    if name not in names:
        choices = ", ".join([*names, *grids])
        hint = "; a grid needs a picture" if name in GRIDS.values() and not grids else ""
        raise UserError(f"--map: expected one of {choices}, got {name}{hint}")
    return figure | {"title": name, "weights": result.attention[names.index(name)]}


def _table(title, weights, source_tokens, target_tokens):
    """Yields lines of a table of percentages: source tokens as columns, target tokens as rows."""
    width = max(map(_width, (title, *target_tokens)))
    widths = [max(3, _width(token)) for token in source_tokens]
    header = (_padded(token, wide) for token, wide in zip(source_tokens, widths, strict=True))
    yield "  ".join([_padded(title, -width), *header])
    for token, row in zip(target_tokens, weights, strict=True):
        cells = (f"{100 * x:{wide}.0f}" for x, wide in zip(row, widths, strict=True))
        yield "  ".join([_padded(token, -width), *cells])


def _padded(text, width):
    """Pads to a width in columns, on the left; on the right if the width is negative."""
    blanks = " " * (abs(width) - _width(text))
    return text + blanks if width < 0 else blanks + text


def _width(text):
    """Number of terminal columns."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
