"""The command `score`: log-probabilities of targets, and rescoring of n-best lists."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_s2s.cli import rescore
from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.formatting import TABS, add_format_options, shortest_float
from keras_s2s.cli.length_windows import (
    RowErrors,
    fingerprint,
    process_windows,
    run_in_length_batches,
)
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.resumable_output import open_output
from keras_s2s.cli.text_streams import is_read_once, on_one_line
from keras_s2s.cli.translate import add_files
from keras_s2s.config import Corpus
from keras_s2s.errors import UserError
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

COLUMNS = (
    "tsv: columns line, log_prob, tokens (their number, the end included) at the level sequence,"
    " otherwise line, position, log_prob, word or token; default: text, for --nbest json"
)


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `score` to the parser's sub-commands."""
    parser = add_command(commands, "score", _score, "score targets, or rescore n-best lists")
    add_model_arguments(parser)
    group = parser.add_argument_group("input", "--source and --target, --pairs or --nbest")
    group.add_argument("--source", metavar="FILE", help="sources, one a line")
    group.add_argument("--target", metavar="FILE", help="targets, one a line")
    group.add_argument(
        "--pairs", metavar="FILE", help="or both: source, tab, target a line; or .jsonl"
    )
    rescore.add_options(group)
    add_files(parser)
    group = parser.add_argument_group("output")
    add_format_options(group, COLUMNS, default=None)
    group.add_argument(
        "--level",
        choices=("sequence", "word", "token"),
        default="sequence",
        help="text, tsv: the units that get a log-probability (default: sequence); JSON has all",
    )


def _score(arguments):
    arguments.format = arguments.format or ("json" if arguments.nbest else "text")
    job_class = rescore.RescoreJob if arguments.nbest else ScoreJob
    open_rows, paths = job_class.source(arguments)
    content = None if any(map(is_read_once, paths)) else fingerprint(open_rows())
    with open_model(arguments) as model:
        job = job_class(model, arguments)
        provenance = content and {"input": content, "model": model.identity(), **job.provenance()}
        with open_output(arguments.output, provenance, arguments.resume) as output:
            total = content and content["lines"]
            process_windows(open_rows(), output, paths[0], job, arguments.window, total)
    job.report()
    job.row_errors.raise_if_any()


class ScoreJob:
    """Job of `process_windows` that scores pairs."""

    name = "score"

    def __init__(self, model: Any, arguments: argparse.Namespace):
        self.model, self.arguments = model, arguments
        self.state = {"log_prob": 0.0, "tokens": 0, "pairs": 0}
        self.row_errors = RowErrors(self.state)

    @staticmethod
    def source(arguments: argparse.Namespace) -> tuple[Callable[[], Iterator[tuple]], list]:
        """Returns a function that yields the rows, and the paths of their files."""
        names = ("source", "target", "pairs")
        files = {name: getattr(arguments, name) for name in names}
        has_pairs, has_source, has_target = (
            bool(files[name]) for name in ("pairs", "source", "target")
        )
        if has_pairs == has_source or has_source != has_target:
            raise UserError("expected --source and --target, or --pairs alone, or --nbest alone")

        def rows():
            from keras_s2s.cli.tensorflow_logging import import_tensorflow

            import_tensorflow()
            from keras_s2s.data import read_pairs

            return read_pairs(Corpus(**files))

        return rows, [path for path in files.values() if path]

    def provenance(self) -> dict:
        """The options that determine the output."""
        return {
            name: getattr(self.arguments, name)
            for name in ("format", "level", "batch_size", "window")
        }

    def lines(
        self, rows: Sequence[Sequence], first: int, done: Callable[[int], Any]
    ) -> Iterator[str]:
        """Yields lines for rows of (source, target)."""
        lengths = [max(map(len, row)) for row in rows]
        scores, errors = run_in_length_batches(
            self._score, rows, lengths, self.arguments.batch_size, done
        )
        for i, (row, score) in enumerate(zip(rows, scores, strict=True)):
            number, error = first + i + 1, errors.get(i, "")
            if error:
                self.row_errors.add(f"line {number}", error)
            else:
                self.state["log_prob"] += score.log_prob
                self.state["tokens"] += len(score.tokens)
                self.state["pairs"] += 1
            yield from _format(number, row, None if error else score, self.arguments, error)

    def _score(self, rows):
        return self.model.score([row[0] for row in rows], targets=[row[1] for row in rows])

    def report(self) -> None:
        """Prints the perplexity of all pairs on the standard error."""
        tokens, pairs, log_prob = (self.state[name] for name in ("tokens", "pairs", "log_prob"))
        if tokens:
            try:
                perplexity = f"{math.exp(-log_prob / tokens):.4f}"
            except OverflowError:
                perplexity = "infinite"
            print(
                f"perplexity {perplexity} per token: {tokens:,} tokens (ends included) of"
                f" {pairs:,} pairs, log-probability {log_prob:.4f}",
                file=sys.stderr,
            )


def _format(number, row, score, arguments, error):
    """Yields the lines for one pair."""
    if arguments.format == "json":
        pair = {"source": row[0], "target": row[1]}
        yield dump_json(pair | _as_dict(score, error), ensure_ascii=False)
    elif score is None:
        yield from () if arguments.format == "tsv" else [""]
    elif arguments.level == "sequence":
        tsv = f"{number}\t{score.log_prob:.4f}\t{len(score.tokens)}"
        yield tsv if arguments.format == "tsv" else f"{score.log_prob:.4f}"
    else:
        items = _items(score, arguments.level)
        cells = [f"{log_prob:.4f}\t{on_one_line(item, TABS)}" for item, log_prob in items]
        if arguments.format == "tsv":
            yield from (f"{number}\t{position}\t{cell}" for position, cell in enumerate(cells, 1))
        else:
            yield "\t".join(cells)


def _items(score, level):
    if level == "word":
        return zip(score.words, score.word_log_probs, strict=True)
    return zip(score.tokens, score.token_log_probs, strict=True)


def _as_dict(score, error):
    if score is None:
        return {"error": error}
    return {
        "log_prob": shortest_float(score.log_prob),
        "tokens": list(score.tokens),
        "token_log_probs": [shortest_float(x) for x in score.token_log_probs],
        "words": list(score.words),
        "word_log_probs": [shortest_float(x) for x in score.word_log_probs],
    }
