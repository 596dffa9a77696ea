"""N-best lists scored by another model: `score MODEL --nbest FILE`."""

import json
import math

from keras_s2s.cli.argument_parser import number
from keras_s2s.cli.formatting import shortest_float
from keras_s2s.cli.length_windows import RowErrors, run_in_length_batches
from keras_s2s.cli.text_streams import on_one_line, source_lines
from keras_s2s.errors import UserError
from keras_s2s.signatures.fields import TRANSLATE

__all__ = ["RescoreJob", "add_options"]

PENALTIES = ("length_penalty", "length_offset")


def add_options(group) -> None:
    """Adds `--nbest` and what goes with it."""
    group.add_argument(
        "--nbest",
        metavar="FILE",
        help="JSON lines of `translate --json`: each hypothesis gets its rescore_log_prob by MODEL"
        " and a new score, the old one becomes first_score, and the best comes first",
    )
    group.add_argument(
        "--weight",
        type=number(0, 1),
        default=0.5,
        metavar="W",
        help="of --nbest: score = (1 - W) * old score + W * log-probability by MODEL over its"
        " length penalty (default: 0.5)",
    )
    for name in PENALTIES:
        field = TRANSLATE.options()[name]
        group.add_argument(
            "--" + name.replace("_", "-"),
            type=number(field.low, field.high),
            default=field.default,
            metavar="X",
            help=f"of --nbest: {field.meaning} (default: {field.default:g})",
        )
    group.add_argument(
        "--by-tokens",
        action="store_true",
        help="of --nbest: score the hypotheses' tokens, where MODEL has the same vocabulary,"
        " and not their texts",
    )


class RescoreJob:
    """Lines of JSON -> the same with other scores; what `windows.stream` calls."""

    name = "score"

    def __init__(self, model, arguments):
        self.model, self.arguments, self.state = model, arguments, {}
        self.problems = RowErrors(self.state)

    @staticmethod
    def source(arguments):
        """What opens the rows, checked one by one, and the file that they come from."""
        if any((arguments.source, arguments.target, arguments.pairs)):
            raise UserError("expected --source and --target, or --pairs alone, or --nbest alone")
        if arguments.level != "sequence" or arguments.format == "tsv":
            raise UserError(
                "--nbest: expected the level sequence and the format text or json,"
                f" came {arguments.level} and {arguments.format}"
            )
        path = arguments.nbest

        def rows():
            for place, line in enumerate(source_lines(path), 1):
                _parse(line, f"{_name(path)}:{place}", arguments.by_tokens)
                yield (line,)

        return rows, [path]

    def made_of(self):
        """The options that decide what the output holds."""
        names = ("format", "weight", "by_tokens", "batch_size", "window", *PENALTIES)
        return {"nbest": True} | {name: getattr(self.arguments, name) for name in names}

    def lines(self, rows, first, done):
        """Lines for rows of (JSON,)."""
        found = [json.loads(row[0]) for row in rows]
        every = [(row, h) for row in found for h in row["hypotheses"]]
        items = [(row["source"], h) for row, h in every]
        lengths = [max(len(source), len(h["text"])) for source, h in items]
        done = _in_lines(done, len(items), len(rows))
        scores, errors = run_in_length_batches(
            self._ask, items, lengths, self.arguments.batch_size, done
        )
        new = {id(h): (scores[i], errors.get(i)) for i, (_, h) in enumerate(every)}
        for place, row in enumerate(found, first + 1):
            row["hypotheses"] = self._ranked(row["hypotheses"], new, place)
            yield self._render(row)

    def _ask(self, items):
        sources = [source for source, _ in items]
        if self.arguments.by_tokens:
            return self.model.score(sources, target_tokens=[h["tokens"] for _, h in items])
        return self.model.score(sources, targets=[h["text"] for _, h in items])

    def _ranked(self, hypotheses, new, place):
        good, bad = [], []
        for rank, h in enumerate(hypotheses, 1):
            score, problem = new[id(h)]
            if problem:
                self.problems.add(f"line {place}, hypothesis {rank}", problem)
                bad.append(h | {"error": problem})
            else:
                good.append(self._scored(h, score))
        return sorted(good, key=lambda h: -h["score"]) + bad

    def _scored(self, h, score):
        exponent, offset = (getattr(self.arguments, name) for name in PENALTIES)
        penalty = ((offset + len(score.tokens)) / (offset + 1.0)) ** exponent
        weight = self.arguments.weight
        mixed = (1.0 - weight) * h["score"] + weight * score.log_prob / penalty
        first = {"first_score": h["score"], "rescore_log_prob": shortest_float(score.log_prob)}
        return h | {"score": shortest_float(mixed)} | first

    def _render(self, row):
        if self.arguments.format == "text":
            return on_one_line(row["hypotheses"][0]["text"]) if row["hypotheses"] else ""
        return json.dumps(row, ensure_ascii=False)

    def report(self):
        """There is nothing to say."""


def _in_lines(done, items, lines):
    """What counts hypotheses and tells `done` of lines."""
    seen = 0

    def count(more):
        nonlocal seen
        before, seen = seen * lines // items, seen + more
        done(seen * lines // items - before)

    return count


def _name(path):
    return "standard input" if path == "-" else path


def _parse(line, place, by_tokens):
    """Holds a line against what `translate --json` writes."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise UserError(f"{place}: expected a JSON object, as translate --json writes") from None
    if not isinstance(row, dict) or not _is_text(row.get("source")):
        raise UserError(f"{place}: expected a JSON object with source, a text")
    if not isinstance(row.get("hypotheses"), list):
        raise UserError(f"{place}: expected a JSON object with hypotheses, a list")
    for rank, h in enumerate(row["hypotheses"], 1):
        problem = _problem(h, by_tokens)
        if problem:
            raise UserError(f"{place}: hypothesis {rank}: expected {problem}")


def _problem(h, by_tokens):
    if not isinstance(h, dict) or not _is_text(h.get("text")):
        return "text, a string"
    score = h.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return "score, a number"
    tokens = h.get("tokens")
    if by_tokens and not (isinstance(tokens, list) and all(map(_is_text, tokens))):
        return "tokens, a list of strings"
    if by_tokens and any("\n" in x for x in tokens):
        return "tokens without a line feed"
    return ""


def _is_text(value):
    """A string, without half a surrogate."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
