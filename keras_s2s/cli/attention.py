"""The command `attention`: what a model looks at while it writes a target."""

import hashlib
import json
import sys
import unicodedata
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically

__all__ = ["add_commands"]

DIGITS = 6
PICTURES = ("png", "svg")
KINDS = ("json", "html", *PICTURES)
GRIDS = {"cross": "all", "self": "decoder", "encoder": "encoder"}


def add_commands(commands) -> None:
    """Adds `attention` to the parser's sub-commands."""
    parser = add_command(commands, "attention", _attention, "show what a model looks at")
    add_model_arguments(parser)
    parser.add_argument("--text", required=True, metavar="TEXT", help="the source")
    parser.add_argument(
        "--target", metavar="TEXT", help="the target; left out: the best that a search finds"
    )
    parser.add_argument(
        "--map",
        metavar="NAME",
        help="of table and picture: which map, or a grid of all over the source (all), or of "
        "self-attention (encoder, decoder); default: the mean of those over the source",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="FILE.json: all maps; FILE.html: a page to look at all of them; FILE.png, FILE.svg: "
        "a picture; left out: a table",
    )
    parser.add_argument(
        "--logdir", metavar="DIR", help="add the pair to this run's tab Attention in TensorBoard"
    )
    parser.add_argument("--json", action="store_true", help="print all maps as JSON")


def _attention(arguments):
    kind = _kind(arguments)
    if arguments.map and kind in ("json", "html"):
        raise UserError(f"--map: expected a table or a picture, came {kind}, which has all maps")
    with open_model(arguments) as model:
        found, target = _ask(model, arguments.text, arguments.target)
    shown = None if kind in ("json", "html") else _chosen(found, arguments.map, kind)
    if arguments.logdir is not None:
        _log(arguments, found, target)
    if kind == "html":
        from keras_s2s.tensorboard.attention_records import make_record
        from keras_s2s.tensorboard.standalone import html

        write_atomically(arguments.output, html([make_record(found, target)]))
    elif kind in PICTURES:
        from keras_s2s.tensorboard.figures import save_attention

        save_attention(arguments.output, **shown)
    elif kind == "json":
        with LineOutput(arguments.output) as output:
            output.write(json.dumps(_as_dict(arguments.text, found), ensure_ascii=False))
    elif arguments.logdir is None or arguments.map:
        with LineOutput() as output:
            for line in _table(**shown):
                output.write(line)


def _kind(arguments):
    """What to make: a table, JSON, a page or a picture."""
    path = arguments.output
    if path in (None, "-"):
        return "json" if arguments.json or path else "table"
    kind = Path(path).suffix.lower().strip(".")
    if kind not in KINDS:
        expected = f"{', '.join(f'.{one}' for one in KINDS[:-1])} or .{KINDS[-1]}"
        raise UserError(f"--output {path}: expected a name that ends in {expected}")
    if kind != "json" and arguments.json:
        raise UserError(f"--output {path}: expected --json or a .{kind}, came both")
    if not Path(path).parent.is_dir():
        raise UserError(f"--output {path}: expected a folder that exists")
    return kind


def _log(arguments, found, target):
    """One record in an event file of its own; a tag for each text, so that pairs stay apart."""
    from keras_s2s.tensorboard.attention_records import make_record, write

    name = hashlib.sha256(f"{arguments.text}\n{target}".encode()).hexdigest()[:8]
    try:
        path = write(arguments.logdir, f"attention/{name}", make_record(found, target), 0)
    except OSError as error:
        raise UserError(f"--logdir {arguments.logdir}: {error.strerror}") from None
    print(f"wrote {path}", file=sys.stderr)


def _ask(model, text, target):
    """The `Attention` of a text and its target, and the target."""
    if target is not None:
        return model.attention([text], targets=[target])[0], target
    found, errors = model.translate([text], alignment=False)
    if errors:
        raise UserError(errors[0])
    tokens, target = (found[0][0].tokens, found[0][0].text) if found[0] else ([], "")
    if any("\n" in token for token in tokens):  # no list of tokens can hold one
        return model.attention([text], targets=[target])[0], target
    return model.attention([text], target_tokens=[tokens])[0], target


def _as_dict(text, found):
    maps = {
        "maps": (found.names, found.attention),
        "encoder_maps": (found.encoder_names, found.encoder_attention),
        "decoder_maps": (found.decoder_names, found.decoder_attention),
    }
    row = {"source": text, "source_tokens": found.source_tokens, "tokens": found.tokens}
    return row | {
        kind: {name: _rounded(weights) for name, weights in zip(names, values, strict=True)}
        for kind, (names, values) in maps.items()
        if values is not None
    }


def _rounded(weights):
    return [[round(float(x), DIGITS) for x in line] for line in weights]


def _chosen(found, name, kind):
    """What `save_attention` and `_table` take: a map [T, S], or several [A, T, S] of a picture."""
    names, grids = list(found.names), {}
    shown = {"source_tokens": found.source_tokens, "target_tokens": found.tokens}
    if kind in PICTURES:
        from keras_s2s.tensorboard.attention_records import attention_maps
        from keras_s2s.tensorboard.figures import attention_grid

        grids = {GRIDS[of]: of for of in attention_maps(found)}
    if name in grids:
        grid = attention_grid(found, grids[name])
        return grid | {"title": f"{name}: {len(grid['names'])} maps"}
    if name is None:
        title = names[0] if len(names) == 1 else f"mean of {len(names)} maps"
        return shown | {"title": title, "weights": found.attention.mean(0)}
    if name not in names:
        known = ", ".join([*names, *grids])
        grid = "; a grid is for a picture" if name in GRIDS.values() and not grids else ""
        raise UserError(f"--map: expected one of {known}, came {name}{grid}")
    return shown | {"title": name, "weights": found.attention[names.index(name)]}


def _table(title, weights, source_tokens, target_tokens):
    """Lines of text: the source's tokens across, the target's down, shares in percent."""
    width = max(map(_width, (title, *target_tokens)))
    widths = [max(3, _width(token)) for token in source_tokens]
    across = (_padded(token, wide) for token, wide in zip(source_tokens, widths, strict=True))
    yield "  ".join([_padded(title, -width), *across])
    for token, row in zip(target_tokens, weights, strict=True):
        cells = (f"{100 * x:{wide}.0f}" for x, wide in zip(row, widths, strict=True))
        yield "  ".join([_padded(token, -width), *cells])


def _padded(text, width):
    """To a width in columns; a negative one puts the blanks behind."""
    blanks = " " * (abs(width) - _width(text))
    return text + blanks if width < 0 else blanks + text


def _width(text):
    """Columns of a terminal."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
