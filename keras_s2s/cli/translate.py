"""The command `translate`, and the work that it and `predict` have in common."""

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.formatting import add_output_options, format_hypotheses
from keras_s2s.cli.length_windows import (
    RowErrors,
    add_window_options,
    fingerprint,
    process_windows,
    run_in_length_batches,
)
from keras_s2s.cli.model_sources import add_model_arguments, open_model
from keras_s2s.cli.option_flags import (
    add_line_options,
    add_sampling_options,
    add_search_options,
    search_options,
)
from keras_s2s.cli.resumable_output import open_output
from keras_s2s.cli.text_streams import aligned_lines, is_read_once
from keras_s2s.errors import UserError

__all__ = ["TranslateJob", "add_commands", "add_files", "add_options", "input_files"]

INT32 = 2**31


def add_commands(commands) -> None:
    """Adds `translate` to the parser's sub-commands."""
    parser = add_command(commands, "translate", _translate, "translate lines, or draw targets")
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        default="-",
        metavar="FILE",
        help="one text a line, plain or .gz; - (default) is the standard input; or frames, .npz or"
        " .tfrecord",
    )
    add_files(parser)
    add_options(parser)


def add_files(parser) -> None:
    """Adds `--output`, and how its lines are taken."""
    parser.add_argument(
        "--output",
        default="-",
        metavar="FILE",
        help="a file that appears at the end, FILE.partial till then; - (default) is the"
        " standard output",
    )
    add_window_options(parser)


def add_options(parser) -> None:
    """Adds what a search or a draw is asked for, and what comes out."""
    add_output_options(parser)
    add_search_options(parser)
    add_line_options(parser)
    add_sampling_options(parser)


class TranslateJob:
    """Texts -> lines of hypotheses; what `windows.stream` calls.

    Args:
        model: what `open_model` gives.
        arguments: with what `add_options` and `add_batch_option` made.
    """

    name = "translate"

    def __init__(self, model, arguments):
        self.model, self.arguments, self.state = model, arguments, {}
        self.options = search_options(arguments)
        self.problems = RowErrors(self.state)

    def lines(self, rows, first, done):
        """Lines for rows of (text, its constraints or None, its prefix or None)."""
        items = list(enumerate(rows, first))
        lengths = [len(row[0]) for row in rows]
        found, errors = run_in_length_batches(
            self._ask, items, lengths, self.arguments.batch_size, done
        )
        if not first:
            self._blame_options(errors, len(items))
        for place, (number, row) in enumerate(items):
            problem = errors.get(place, "")
            if problem:
                self.problems.add(f"line {number + 1}", problem)
            yield from format_hypotheses(
                number + 1, row[0], found[place] or [], self.arguments, problem
            )

    def _ask(self, items):
        options = self.options | self._by_line(items)
        ask = self.model.sample if self.arguments.sample else self.model.translate
        wanted = self.arguments.alignment != "none"
        return ask([row[0] for _, row in items], alignment=wanted, **options)

    def _by_line(self, items):
        """Options with a value for each line."""
        given = {}
        if self.arguments.sample:
            seed = self.options.get("seed", 0)
            given["seed"] = [(seed + number + INT32) % (2 * INT32) - INT32 for number, _ in items]
        if self.arguments.constraints_file:
            general = self.options.get("constraints", "").split("\n")
            given["constraints"] = [
                [text for text in (*general, *row[1].split("\t")) if text] for _, row in items
            ]
        if self.arguments.prefix_file:
            given["target_prefix"] = [row[2] for _, row in items]
        return given

    def _blame_options(self, errors, count):
        """Ends the command where every line is refused for what was asked of all of them."""
        messages = {message for message in errors.values() if not message.startswith("text")}
        if len(errors) == count and len(messages) == 1 and not self._has_files():
            raise UserError(messages.pop())

    def _has_files(self):
        return self.arguments.constraints_file or self.arguments.prefix_file


def input_files(arguments) -> list:
    """The files of the rows that `TranslateJob` takes, None for those that were not given."""
    return [arguments.input, arguments.constraints_file, arguments.prefix_file]


def fingerprint_inputs(paths):
    """What files of input hold, known before the model loads; None where one is read but once."""
    if any(path and is_read_once(path) for path in paths):
        return None
    return fingerprint(aligned_lines(paths))


def _translate(arguments):
    options = search_options(arguments)
    paths = input_files(arguments)
    found = fingerprint_inputs(paths)
    with open_model(arguments) as model:
        work = TranslateJob(model, arguments)
        made_of = found and _made_of(arguments, options, found, model)
        with open_output(arguments.output, made_of, arguments.resume) as output:
            total = found and found["lines"]
            process_windows(
                aligned_lines(paths), output, arguments.input, work, arguments.window, total
            )
    work.problems.complain()


def _made_of(arguments, options, found, model):
    """What decides what the output holds: batches too, in whose last digits scores may differ."""
    names = ("format", "scores", "with_tokens", "alignment", "sample", "batch_size", "window")
    kept = {name: getattr(arguments, name) for name in names}
    return {"input": found, "model": model.identity(), **kept, **options}
