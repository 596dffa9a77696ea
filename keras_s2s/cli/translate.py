"""The command `translate`, and the job that it shares with `predict`."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

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


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `translate` to the parser's sub-commands."""
    parser = add_command(commands, "translate", _translate, "translate lines, or sample targets")
    add_model_arguments(parser)
    parser.add_argument(
        "--input",
        default="-",
        metavar="FILE",
        help="one text a line, plain or compressed; - (default) is the standard input; or features,"
        " .npz or .tfrecord",
    )
    add_files(parser)
    add_options(parser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Adds `--output` and the options of windows and batches."""
    parser.add_argument(
        "--output",
        default="-",
        metavar="FILE",
        help="a file that appears at the end, FILE.partial until then; - (default) is the"
        " standard output",
    )
    add_window_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of search, sampling and output."""
    add_output_options(parser)
    add_search_options(parser)
    add_line_options(parser)
    add_sampling_options(parser)


class TranslateJob:
    """Job of `process_windows` that translates texts.

    Args:
        model: a model of `open_model`.
        arguments: parsed arguments of `add_options` and `add_batch_option`.
    """

    name = "translate"

    def __init__(self, model: Any, arguments: argparse.Namespace):
        self.model, self.arguments, self.state = model, arguments, {}
        self.options = search_options(arguments)
        self.row_errors = RowErrors(self.state)

    def lines(
        self, rows: Sequence[Sequence], first: int, done: Callable[[int], Any]
    ) -> Iterator[str]:
        """Yields lines for rows of (text, its constraints or None, its prefix or None)."""
        items = list(enumerate(rows, first))
        lengths = [len(row[0]) for row in rows]
        results, errors = run_in_length_batches(
            self._decode, items, lengths, self.arguments.batch_size, done
        )
        if not first:
            self._raise_common_error(errors, len(items))
        for i, (number, row) in enumerate(items):
            error, hypotheses = errors.get(i, ""), results[i] or []
            if error:
                self.row_errors.add(f"line {number + 1}", error)
            yield from format_hypotheses(number + 1, row[0], hypotheses, self.arguments, error)

    def _decode(self, items):
        options = self.options | self._line_options(items)
        decode = self.model.sample if self.arguments.sample else self.model.translate
        alignment = self.arguments.alignment != "none"
        return decode([row[0] for _, row in items], alignment=alignment, **options)

    def _line_options(self, items):
        """Options with a value for each line."""
        options = {}
        if self.arguments.sample:
            seed = self.options.get("seed", 0)
            options["seed"] = [(seed + number + INT32) % (2 * INT32) - INT32 for number, _ in items]
        if self.arguments.constraints_file:
            common = self.options.get("constraints", "").split("\n")
            options["constraints"] = [
                [text for text in (*common, *row[1].split("\t")) if text] for _, row in items
            ]
        if self.arguments.prefix_file:
            options["target_prefix"] = [row[2] for _, row in items]
        return options

    def _raise_common_error(self, errors, count):
        """Raises the error at once if all lines fail for an option that is common to them."""
        messages = {message for message in errors.values() if not message.startswith("text")}
        if len(errors) == count and len(messages) == 1 and not self._has_files():
            raise UserError(messages.pop())

    def _has_files(self):
        return self.arguments.constraints_file or self.arguments.prefix_file


def input_files(arguments: argparse.Namespace) -> list:
    """The paths of the columns of `TranslateJob` rows; None for files that are not used."""
    return [arguments.input, arguments.constraints_file, arguments.prefix_file]


def fingerprint_inputs(paths: Sequence[str | None]) -> dict[str, Any] | None:
    """Fingerprint of the input files; None if one of them can be read only once."""
    if any(path and is_read_once(path) for path in paths):
        return None
    return fingerprint(aligned_lines(paths))


def _translate(arguments):
    options = search_options(arguments)
    paths = input_files(arguments)
    content = fingerprint_inputs(paths)
    with open_model(arguments) as model:
        job = TranslateJob(model, arguments)
        provenance = content and _provenance(arguments, options, content, model)
        with open_output(arguments.output, provenance, arguments.resume) as output:
            total = content and content["lines"]
            process_windows(
                aligned_lines(paths), output, arguments.input, job, arguments.window, total
            )
    job.row_errors.raise_if_any()


def _provenance(arguments, options, content, model):
    """Everything that determines the output; batch sizes change the last digits of scores."""
    names = ("format", "scores", "with_tokens", "alignment", "sample", "batch_size", "window")
    values = {name: getattr(arguments, name) for name in names}
    return {"input": content, "model": model.identity(), **values, **options}
