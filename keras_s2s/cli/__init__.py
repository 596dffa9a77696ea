"""The `keras-s2s` command: thin sub-commands, one clear line for a user's mistake.

Each sub-command imports the rooms that it needs when it runs, so that `--help` answers at once.
Exit status: 0 done, 1 models that should be one differ, 2 a user's mistake, 130 interrupted.
"""

import errno
import os
import sys

from keras_s2s import __version__
from keras_s2s.cli import (
    attention,
    catalog,
    deployment,
    evaluate,
    forecast,
    import_models,
    run_transforms,
    score,
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


def main(argv=None) -> int:
    """Runs one command line and gives its exit status.

    Args:
        argv: the words after `keras-s2s`; the process's own by default.

    Raises:
        SystemExit: for `--help`, `--version` and words that cannot be parsed (status 2).
    """
    reserve_standard_streams()
    arguments = _parser().parse(sys.argv[1:] if argv is None else argv)
    try:
        with redeliver_interrupts():
            arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # at exit it would be too late to say what went wrong
    except UserError as error:
        return _fail(error, error.status)
    except BrokenPipeError:  # whoever read our output has gone
        _forget_output()
    except OSError as error:
        if error.filename is not None:
            return _fail(f"{error.filename}: {error.strerror}")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        _forget_output()
        return _fail(f"cannot write: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(problem, status=2) -> int:
    """One line for a mistake; what differs stands under each other."""
    text = str(problem) if status == 1 else " ".join(str(problem).splitlines())
    print("keras-s2s: error:", text, file=sys.stderr)
    return status


def _forget_output():
    """Drops what the standard output could not take: Python's flush at exit must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> Parser:
    parser = Parser(
        prog="keras-s2s",
        description="Sequence-to-sequence learning, from pairs of sequences to a served model.",
        epilog="keras-s2s COMMAND --help tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"keras-s2s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for room in (
        vocab,
        train,
        run_transforms,
        translate,
        score,
        attention,
        forecast,
        evaluate,
        deployment,
        import_models,
        verify,
        catalog,
    ):
        room.add_commands(commands)
    return parser
