"""Rescoring of n-best lists: `score MODEL --nbest FILE`."""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_s2s.cli.argument_parser import number as number_type
from keras_s2s.cli.formatting import shortest_float
from keras_s2s.cli.length_windows import RowErrors, run_in_length_batches
from keras_s2s.cli.text_streams import on_one_line, source_lines
from keras_s2s.errors import UserError
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.json_text import dump_json, load_json

__all__ = ["RescoreJob", "add_options"]

PENALTIES = ("length_penalty", "length_offset")


def add_options(group: argparse._ActionsContainer) -> None:
    """Adds `--nbest` and its options."""
    group.add_argument(
        "--nbest",
        metavar="FILE",
        help="JSON lines of `translate --json`: each hypothesis gets its rescore_log_prob by MODEL"
        " and a new score, the old one becomes first_score, and the best comes first",
    )
    group.add_argument(
        "--weight",
        type=number_type(0, 1),
        default=0.5,
        metavar="W",
        help="of --nbest: score = (1 - W) * old score + W * log-probability by MODEL over its"
        " length penalty (default: 0.5)",
    )
    for name in PENALTIES:
        field = TRANSLATE.options()[name]
        group.add_argument(
            "--" + name.replace("_", "-"),
            type=number_type(field.low, field.high),
            default=field.default,
            metavar="X",
            help=f"of --nbest: {field.description} (default: {field.default:g})",
        )
    group.add_argument(
        "--by-tokens",
        action="store_true",
        help="of --nbest: score the hypotheses' tokens, where MODEL has the same vocabulary,"
        " and not their texts",
    )


class RescoreJob:
    """Job of `process_windows` that rescores JSON lines of hypotheses."""

    name = "score"

    def __init__(self, model: Any, arguments: argparse.Namespace):
        self.model, self.arguments, self.state = model, arguments, {}
        self.row_errors = RowErrors(self.state)

    @staticmethod
    def source(arguments: argparse.Namespace) -> tuple[Callable[[], Iterator[tuple]], list]:
        """Returns a function that yields checked rows, and the path of their file."""
        if any((arguments.source, arguments.target, arguments.pairs)):
            raise UserError("expected --source and --target, or --pairs alone, or --nbest alone")
        if arguments.level != "sequence" or arguments.format == "tsv":
            raise UserError(
                "--nbest: expected the level sequence and the format text or json,"
                f" got {arguments.level} and {arguments.format}"
            )
        path = arguments.nbest

        def rows():
            for number, line in enumerate(source_lines(path), 1):
                _check_line(line, f"{_name(path)}:{number}", arguments.by_tokens)
                yield (line,)

        return rows, [path]

    def provenance(self) -> dict:
        """The options that determine the output."""
        names = ("format", "weight", "by_tokens", "batch_size", "window", *PENALTIES)
        return {"nbest": True} | {name: getattr(self.arguments, name) for name in names}

    def lines(
        self, rows: Sequence[Sequence], first: int, done: Callable[[int], Any]
    ) -> Iterator[str]:
        """Yields lines for rows of (JSON line,)."""
        inputs = [load_json(row[0]) for row in rows]
        items = [(row["source"], h) for row in inputs for h in row["hypotheses"]]
        lengths = [max(len(source), len(h["text"])) for source, h in items]
        done = _count_lines(done, len(items), len(rows))
        scores, errors = run_in_length_batches(
            self._score, items, lengths, self.arguments.batch_size, done
        )
        results = {id(h): (scores[i], errors.get(i)) for i, (_, h) in enumerate(items)}
        for number, row in enumerate(inputs, first + 1):
            row["hypotheses"] = self._rank(row["hypotheses"], results, number)
            yield self._render(row)

    def _score(self, items):
        sources = [source for source, _ in items]
        if self.arguments.by_tokens:
            return self.model.score(sources, target_tokens=[h["tokens"] for _, h in items])
        return self.model.score(sources, targets=[h["text"] for _, h in items])

    def _rank(self, hypotheses, results, number):
        scored, failed = [], []
        for rank, h in enumerate(hypotheses, 1):
            score, error = results[id(h)]
            if error:
                self.row_errors.add(f"line {number}, hypothesis {rank}", error)
                failed.append(h | {"error": error})
            else:
                scored.append(self._combine(h, score))
        return sorted(scored, key=lambda h: -h["score"]) + failed

    def _combine(self, h, score):
        exponent, offset = (getattr(self.arguments, name) for name in PENALTIES)
        penalty = ((offset + len(score.tokens)) / (offset + 1.0)) ** exponent
        weight = self.arguments.weight
        combined = (1.0 - weight) * h["score"] + weight * score.log_prob / penalty
        scores = {"first_score": h["score"], "rescore_log_prob": shortest_float(score.log_prob)}
        return h | {"score": shortest_float(combined)} | scores

    def _render(self, row):
        if self.arguments.format == "text":
            return on_one_line(row["hypotheses"][0]["text"]) if row["hypotheses"] else ""
        return dump_json(row, ensure_ascii=False)

    def report(self) -> None:
        """Prints nothing."""


def _count_lines(done, items, lines):
    """Returns a callback of finished hypotheses that calls `done` with finished lines."""
    finished = 0

    def count(hypotheses):
        nonlocal finished
        previous, finished = finished * lines // items, finished + hypotheses
        done(finished * lines // items - previous)

    return count


def _name(path):
    return "standard input" if path == "-" else path


def _check_line(line, location, by_tokens):
    """Checks that a line has the format of `translate --json`."""
    try:
        row = load_json(line)
    except (json.JSONDecodeError, RecursionError):
        raise UserError(f"{location}: expected a JSON object, as translate --json writes") from None
    if not isinstance(row, dict) or not _is_text(row.get("source")):
        raise UserError(f"{location}: expected a JSON object with source, a text")
    if not isinstance(row.get("hypotheses"), list):
        raise UserError(f"{location}: expected a JSON object with hypotheses, a list")
    for rank, h in enumerate(row["hypotheses"], 1):
        problem = _problem(h, by_tokens)
        if problem:
            raise UserError(f"{location}: hypothesis {rank}: expected {problem}")


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
    """Whether the value is a string without lone surrogates."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
