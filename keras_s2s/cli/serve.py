"""The command `serve`."""

import argparse

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `serve` to the parser's sub-commands."""
    _add_arguments(add_command(commands, "serve", _serve, "serve an export over gRPC"))


def _add_arguments(parser):
    add = parser.add_argument
    # the names of TensorFlow Serving, and the spelling of the other options here
    add(
        "--model_name",
        "--model-name",
        required=True,
        metavar="N",
        help="name of the model in requests",
    )
    path_flags = ("--model_base_path", "--model-base-path")
    add(
        *path_flags,
        required=True,
        metavar="DIR",
        help="directory of the versions DIR/1, DIR/2, ...",
    )
    port = "0: a free port (default: 8500)"
    add("--port", type=integer(0, 65535), default=8500, metavar="P", help=port)
    flags = ("--prefer_tflite_model", "--prefer-tflite-model")
    lite = "serve the model.tflite of a version that has one"
    add(*flags, action="store_true", help=lite)
    names = ("--xla_cpu_compilation_enabled", "--xla-cpu-compilation-enabled")
    add(
        *names,
        action="store_true",
        help="serve exports made with --xla; they are compiled at start",
    )


def _serve(arguments):
    lite = arguments.prefer_tflite_model
    if not lite:  # not needed for LiteRT files
        import_tensorflow()
    from keras_s2s.serving import ServingError, serve

    name, path = arguments.model_name, arguments.model_base_path
    try:
        serve(
            name,
            path,
            arguments.port,
            prefer_tflite_model=lite,
            xla_cpu_compilation_enabled=arguments.xla_cpu_compilation_enabled,
        )
    except ServingError as error:
        raise UserError(str(error)) from error
