"""The command `export`."""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError
from keras_s2s.export.variant import QUANTIZATIONS, WEIGHT_TYPES
from keras_s2s.io import has_wildcards

__all__ = ["add_commands"]

FORMAT_OPTIONS = {
    "saved_model": (
        "version",
        "ensemble",
        "weights",
        "batching",
        "xla",
        "gpu",
        "shortlist",
    ),
    "litert": ("version", "ensemble", "quantize", "beam", "max_length", "text_operations"),
    "ctranslate2": ("quantize",),
}


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `export` to the parser's sub-commands."""
    summary = "publish a trained run for a server or a device"
    _add_arguments(add_command(commands, "export", _export, summary))


def _add_arguments(parser):
    add = parser.add_argument
    add("run_dir", metavar="RUN", help="a run directory")
    base = "the base path: DIR/VERSION is created; for CTranslate2 the directory to create"
    add("directory", metavar="DIR", help=base)
    number = integer(1, 2**63 - 1)  # the range of TensorFlow Serving
    add("--version", type=number, metavar="N", help="default: one more than the highest version")
    kinds = "a SavedModel for a server, a LiteRT file for a device, or a CTranslate2 model"
    add(
        "--format",
        choices=FORMAT_OPTIONS,
        default="saved_model",
        help=f"{kinds} (default: saved_model)",
    )
    types = f"LiteRT: {', '.join(QUANTIZATIONS)}; CTranslate2: its own names, such as int8"
    add("--quantize", metavar="TYPE", help=f"{types} (default: float32)")
    _add_litert_arguments(add)
    _add_saved_model_arguments(add)
    _add_checkpoint_arguments(parser)


def _add_litert_arguments(add):
    add("--beam", type=integer(1), metavar="K", help="LiteRT: the maximum beam size")
    longest = "LiteRT: the maximum number of target tokens"
    add("--max-length", type=integer(1), metavar="N", help=longest)
    texts = "LiteRT: strings in and out, for hosts that link in the operations of tf.text"
    add("--text-operations", action="store_true", help=texts)


def _add_saved_model_arguments(add):
    add("--weights", choices=WEIGHT_TYPES, help="storage type of matrices (default: float32)")
    more = "merge concurrent requests into batches inside the graph, without a server flag"
    add("--batching", action="store_true", help=more)
    add("--frozen", action="store_true", help=argparse.SUPPRESS)  # removed
    fast = "compile searches of one text by XLA; the server needs --xla_cpu_compilation_enabled"
    add("--xla", action="store_true", help=fast)
    placed = "for a server with a GPU, which places the operations of a search itself"
    add("--gpu", action="store_true", help=placed)
    few = "restrict target tokens to those of FILE, one a line, or the N most frequent of training"
    add("--shortlist", metavar="FILE|N", help=few)


def _add_checkpoint_arguments(parser):
    add = parser.add_argument
    add(
        "--ensemble",
        nargs="+",
        metavar="RUN",
        help="further runs, averaged with RUN as an ensemble",
    )
    add(
        "--average",
        type=integer(2),
        metavar="N",
        help="export the mean of the last N checkpoints of RUN",
    )
    add_checkpoint_option(parser)


def _export(arguments):
    if arguments.frozen:
        raise UserError("--frozen: removed; export without it (--weights int8 gives smaller files)")
    supported = FORMAT_OPTIONS[arguments.format]
    for name in sorted(
        {name for names in FORMAT_OPTIONS.values() for name in names} - {*supported}
    ):
        if getattr(arguments, name):
            raise UserError(
                f"--{name.replace('_', '-')}: expected no value with --format {arguments.format}"
            )
    import_tensorflow()
    from keras_s2s import export

    options = {name: getattr(arguments, name) for name in supported}
    quantization = options.pop("quantize", None)
    if quantization:
        options["quantization"] = quantization
    export_run = getattr(export, f"export_{arguments.format}")
    checkpoint, members = arguments.checkpoint, options.pop("ensemble", None) or []
    with _averaged(arguments.run_dir, arguments.average, checkpoint) as run:
        runs = [run, *members] if members else run
        path = export_run(runs, arguments.directory, checkpoint=checkpoint, **options)
    print(path)
    if arguments.format == "saved_model" and has_wildcards(Path(path).absolute()):
        _write_wildcard_note()


def _write_wildcard_note():
    reason = "TensorFlow Serving and tf.saved_model.load take [ and \\ in a path for a pattern"
    sys.stderr.write(f"note: {reason}; copy the export to another path for them\n")


@contextlib.contextmanager
def _averaged(run, count, checkpoint):
    """Yields the run, or a temporary run with the mean of its last `count` checkpoints."""
    if count is None:
        yield run
        return
    if checkpoint != "best":
        raise UserError(f"--average: expected no --checkpoint with it, got {checkpoint}")
    from keras_s2s.training import average_checkpoints

    with tempfile.TemporaryDirectory() as directory:
        mean = Path(directory) / Path(run).absolute().name
        average_checkpoints([run], mean, last=count, option="--average")
        yield mean
