"""The `keras-s2s` command: thin sub-commands, one clear line for a user's mistake.

Each sub-command imports the rooms that it needs when it runs, so that `--help` answers at once.
Exit status: 0 done, 2 a user's mistake, 130 interrupted.
"""

import os
import sys

from keras_s2s import __version__
from keras_s2s.cli import remote, text, train
from keras_s2s.cli.parsing import Parser
from keras_s2s.config import UserError

__all__ = ["main"]


def main(argv=None) -> int:
    """Runs one command line and gives its exit status.

    Args:
        argv: the words after `keras-s2s`; the process's own by default.

    Raises:
        SystemExit: for `--help`, `--version` and words that cannot be parsed (status 2).
    """
    arguments = _parser().parse(sys.argv[1:] if argv is None else argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        return _fail(error)
    except BrokenPipeError:
        # whoever read our output has gone; Python's own flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(problem) -> int:
    print(f"keras-s2s: error: {problem}", file=sys.stderr)
    return 2


def _parser() -> Parser:
    parser = Parser(
        prog="keras-s2s",
        description="Sequence-to-sequence learning, from pairs of sequences to a served model.",
    )
    parser.add_argument("--version", action="version", version=f"keras-s2s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for room in (train, text, remote):
        room.add_commands(commands)
    return parser
