"""The command `score`: how likely a model holds given targets, and n-best lists scored anew."""

import json
import math
import sys

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

__all__ = ["add_commands"]

COLUMNS = (
    "tsv: columns line, log_prob, tokens (how many, the end included) at the level sequence,"
    " otherwise line, place, log_prob, word or token; default: text, for --nbest json"
)


def add_commands(commands) -> None:
    """Adds `score` to the parser's sub-commands."""
    parser = add_command(commands, "score", _score, "score given targets, or n-best lists anew")
    add_model_arguments(parser)
    group = parser.add_argument_group("input", "--source and --target, --pairs or --nbest")
    group.add_argument("--source", metavar="FILE", help="sources, one a line")
    group.add_argument("--target", metavar="FILE", help="their targets")
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
        help="text, tsv: what has a log-probability (default: sequence); JSON has all",
    )


def _score(arguments):
    arguments.format = arguments.format or ("json" if arguments.nbest else "text")
    kind = rescore.RescoreJob if arguments.nbest else ScoreJob
    open_rows, paths = kind.source(arguments)
    found = None if any(map(is_read_once, paths)) else fingerprint(open_rows())
    with open_model(arguments) as model:
        work = kind(model, arguments)
        made_of = found and {"input": found, "model": model.identity(), **work.made_of()}
        with open_output(arguments.output, made_of, arguments.resume) as output:
            total = found and found["lines"]
            process_windows(open_rows(), output, paths[0], work, arguments.window, total)
    work.report()
    work.problems.complain()


class ScoreJob:
    """Pairs -> lines of log-probabilities; what `windows.stream` calls."""

    name = "score"

    def __init__(self, model, arguments):
        self.model, self.arguments = model, arguments
        self.state = {"log_prob": 0.0, "tokens": 0, "pairs": 0}
        self.problems = RowErrors(self.state)

    @staticmethod
    def source(arguments):
        """What opens the rows, and the files that they come from."""
        names = ("source", "target", "pairs")
        given = {name: getattr(arguments, name) for name in names}
        if bool(given["pairs"]) == bool(given["source"]) or bool(given["source"]) != bool(
            given["target"]
        ):
            raise UserError("expected --source and --target, or --pairs alone, or --nbest alone")

        def rows():
            from keras_s2s.cli.tensorflow_logging import import_tensorflow

            import_tensorflow()
            from keras_s2s.data import read_pairs

            return read_pairs(Corpus(**given))

        return rows, [path for path in given.values() if path]

    def made_of(self):
        """The options that decide what the output holds."""
        return {
            name: getattr(self.arguments, name)
            for name in ("format", "level", "batch_size", "window")
        }

    def lines(self, rows, first, done):
        """Lines for rows of (source, target)."""
        lengths = [max(map(len, row)) for row in rows]
        found, errors = run_in_length_batches(
            self._ask, rows, lengths, self.arguments.batch_size, done
        )
        for place, (row, score) in enumerate(zip(rows, found, strict=True)):
            number, problem = first + place + 1, errors.get(place, "")
            if problem:
                self.problems.add(f"line {number}", problem)
            else:
                self.state["log_prob"] += score.log_prob
                self.state["tokens"] += len(score.tokens)
                self.state["pairs"] += 1
            yield from _render(number, row, None if problem else score, self.arguments, problem)

    def _ask(self, rows):
        return self.model.score([row[0] for row in rows], targets=[row[1] for row in rows])

    def report(self):
        """Says the perplexity of all pairs on the standard error."""
        tokens, pairs, sum_ = (self.state[name] for name in ("tokens", "pairs", "log_prob"))
        if tokens:
            try:
                perplexity = f"{math.exp(-sum_ / tokens):.4f}"
            except OverflowError:
                perplexity = "infinite"
            print(
                f"perplexity {perplexity} a token: {tokens:,} tokens (ends included) of"
                f" {pairs:,} pairs, log-probability {sum_:.4f}",
                file=sys.stderr,
            )


def _render(number, row, score, arguments, problem):
    """The lines for one pair."""
    if arguments.format == "json":
        found = {"source": row[0], "target": row[1]}
        yield json.dumps(found | _as_dict(score, problem), ensure_ascii=False)
    elif score is None:
        yield from () if arguments.format == "tsv" else [""]
    elif arguments.level == "sequence":
        tsv = f"{number}\t{score.log_prob:.4f}\t{len(score.tokens)}"
        yield tsv if arguments.format == "tsv" else f"{score.log_prob:.4f}"
    else:
        items = _items(score, arguments.level)
        cells = [f"{log_prob:.4f}\t{on_one_line(item, TABS)}" for item, log_prob in items]
        if arguments.format == "tsv":
            yield from (f"{number}\t{place}\t{cell}" for place, cell in enumerate(cells, 1))
        else:
            yield "\t".join(cells)


def _items(score, level):
    if level == "word":
        return zip(score.words, score.word_log_probs, strict=True)
    return zip(score.tokens, score.token_log_probs, strict=True)


def _as_dict(score, problem):
    if score is None:
        return {"error": problem}
    return {
        "log_prob": shortest_float(score.log_prob),
        "tokens": list(score.tokens),
        "token_log_probs": [shortest_float(x) for x in score.token_log_probs],
        "words": list(score.words),
        "word_log_probs": [shortest_float(x) for x in score.word_log_probs],
    }
