"""The command `predict`."""

import argparse

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.length_windows import process_windows
from keras_s2s.cli.model_sources import add_timeout_option, open_served_model
from keras_s2s.cli.text_streams import LineOutput, aligned_lines
from keras_s2s.cli.translate import TranslateJob, add_options, input_files

__all__ = ["add_commands"]

BATCH_SIZE = 32  # texts of one call


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `predict` to the parser's sub-commands."""
    parser = add_command(commands, "predict", _predict, "translate texts with a served model")
    add = parser.add_argument
    add("--server", required=True, metavar="HOST:PORT", help="gRPC address of the server")
    add("--model", required=True, metavar="N", help="the model's name")
    add_timeout_option(parser)
    text = "texts to translate; - (default): the lines of the standard input"
    add("text", nargs="*", default=["-"], metavar="TEXT", help=text)
    add_options(parser)
    parser.set_defaults(batch_size=BATCH_SIZE)


def _predict(arguments):
    arguments.input = "-" if arguments.text == ["-"] else arguments.text
    model = open_served_model(arguments.server, arguments.model, arguments.timeout)
    with model, LineOutput() as output:
        job = TranslateJob(model, arguments)
        rows = aligned_lines(input_files(arguments))
        process_windows(rows, output, arguments.input, job, BATCH_SIZE)
    job.row_errors.raise_if_any()
