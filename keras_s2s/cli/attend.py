"""The command `attention`: what a model looks at while it writes a target."""

import json
import unicodedata
from pathlib import Path

from keras_s2s.cli.lines import Output
from keras_s2s.cli.models import add_model, open_model
from keras_s2s.cli.parsing import add_command
from keras_s2s.config import UserError

__all__ = ["add_commands"]

DIGITS = 6


def add_commands(commands) -> None:
    """Adds `attention` to the parser's sub-commands."""
    parser = add_command(commands, "attention", _attention, "show what a model looks at")
    add_model(parser)
    parser.add_argument("--text", required=True, metavar="TEXT", help="the source")
    parser.add_argument(
        "--target", metavar="TEXT", help="the target; left out: the best that a search finds"
    )
    parser.add_argument(
        "--map", metavar="NAME", help="of table and picture: which map (default: the mean of all)"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="FILE.json: all maps; FILE.png: a picture of one; left out: a table of one",
    )
    parser.add_argument("--json", action="store_true", help="print all maps as JSON")


def _attention(arguments):
    kind = _kind(arguments)
    with open_model(arguments) as model:
        found = _ask(model, arguments.text, arguments.target)
        if kind == "json":
            with Output(arguments.output) as output:
                output.write(json.dumps(_as_dict(arguments.text, found), ensure_ascii=False))
            return
        title, weights = _chosen(found, arguments.map)
    if kind == "png":
        from keras_s2s.tensorboard.figures import save_alignment

        save_alignment(arguments.output, weights, found.source_tokens, found.tokens, title)
        return
    with Output() as output:
        for line in _table(title, weights, found.source_tokens, found.tokens):
            output.write(line)


def _kind(arguments):
    """What to make: a table, JSON or a picture."""
    path = arguments.output
    if path in (None, "-"):
        return "json" if arguments.json or path else "table"
    kind = Path(path).suffix.lower().strip(".")
    if kind not in ("json", "png"):
        raise UserError(f"--output {path}: expected a name that ends in .json or .png")
    if kind == "png" and arguments.json:
        raise UserError(f"--output {path}: expected --json or a .png, came both")
    if not Path(path).parent.is_dir():
        raise UserError(f"--output {path}: expected a folder that exists")
    return kind


def _ask(model, text, target):
    """The `Attention` of a text and its target."""
    if target is not None:
        return model.attention([text], targets=[target])[0]
    found, errors = model.translate([text], alignment=False)
    if errors:
        raise UserError(errors[0])
    tokens = found[0][0].tokens if found[0] else []
    if any("\n" in token for token in tokens):  # no list of tokens can hold one
        return model.attention([text], targets=[found[0][0].text])[0]
    return model.attention([text], target_tokens=[tokens])[0]


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


def _chosen(found, name):
    """A title and the weights [T, S] of one map, or of the mean of all over the source."""
    names = list(found.names)
    if name is None and len(names) == 1:
        return names[0], found.attention[0]
    if name is None:
        return f"mean of {len(names)} maps", found.attention.mean(0)
    if name not in names:
        raise UserError(f"--map: expected one of {', '.join(names)}, came {name}")
    return name, found.attention[names.index(name)]


def _table(title, weights, source, target):
    """Lines of text: the source's tokens across, the target's down, shares in percent."""
    width = max(map(_width, (title, *target)))
    widths = [max(3, _width(token)) for token in source]
    across = (_padded(token, wide) for token, wide in zip(source, widths, strict=True))
    yield "  ".join([_padded(title, -width), *across])
    for token, row in zip(target, weights, strict=True):
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
