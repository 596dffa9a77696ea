"""The `keras-s2s` command line.

Each sub-command imports the modules that it needs when it runs, so that `--help` is fast. Exit
status: 0 success, 1 compared models differ, 2 a user's mistake (one line on the standard error),
130 interrupted.
"""

import errno
import os
import sys
from collections.abc import Sequence

from keras_s2s import __version__
from keras_s2s.cli import (
    attention,
    catalog,
    evaluate,
    export,
    forecast,
    import_models,
    predict,
    run_transforms,
    score,
    serve,
    train,
    translate,
    verify,
    vocab,
)
from keras_s2s.cli.argument_parser import Parser
from keras_s2s.cli.interrupts import redeliver_interrupts
from keras_s2s.cli.standard_streams import reserve_standard_streams
from keras_s2s.errors import UserError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit status.

    Args:
        argv: list of arguments after `keras-s2s`. Defaults to the arguments of the process.

    Raises:
        SystemExit: for `--help`, `--version` and arguments that cannot be parsed (status 2).
    """
    reserve_standard_streams()
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    if not argv:
        parser.print_help()
        return 0
    arguments = parser.parse(argv)
    try:
        with redeliver_interrupts():
            arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # errors of the flush at exit would not be reported
    except UserError as error:
        return _fail(error, error.status)
    except BrokenPipeError:  # the reader of the output has closed it
        _discard_output()
    except OSError as error:
        if error.filename is not None:
            return _fail(f"{error.filename}: {error.strerror}")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        _discard_output()
        return _fail(f"cannot write: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(message, status=2) -> int:
    """Prints one line for a mistake; differences of models keep their lines."""
    text = str(message) if status == 1 else " ".join(str(message).splitlines())
    print("keras-s2s: error:", text, file=sys.stderr)
    return status


def _discard_output():
    """Redirects the standard output to the null device, so that Python's flush at exit succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> Parser:
    parser = Parser(
        prog="keras-s2s",
        description="Sequence-to-sequence learning, from pairs of sequences to a served model.",
        epilog="keras-s2s COMMAND --help tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"keras-s2s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        vocab,
        train,
        run_transforms,
        translate,
        score,
        attention,
        forecast,
        evaluate,
        export,
        serve,
        predict,
        import_models,
        verify,
        catalog,
    ):
        module.add_commands(commands)
    return parser
