"""The command that takes over what other toolkits made: `import`."""

import json
import sys
from pathlib import Path

from keras_s2s.cli.parsing import add_command
from keras_s2s.config import UserError, replace_file

__all__ = ["add_commands"]


def add_commands(commands) -> None:
    """Adds `import` to the parser's sub-commands."""
    summary = "make a configuration of another toolkit's"
    parser = add_command(commands, "import", _import, summary)
    parser.add_argument(
        "--config",
        nargs="+",
        default=[],
        metavar="FILE",
        help="configuration files of OpenNMT-tf, of which the later ones win",
    )
    parser.add_argument(
        "--model-type", metavar="NAME", help="such as TransformerBase, as its command line has it"
    )
    parser.add_argument(
        "--auto-config",
        action="store_true",
        help="take the model type's automatic values for what the files leave out",
    )
    parser.add_argument("--output", metavar="FILE", help="the new configuration (default: printed)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _import(arguments):
    if not arguments.config:
        raise UserError("--config: expected configuration files of OpenNMT-tf, came none")
    _import_config(arguments)


def _import_config(arguments):
    """Translates a configuration."""
    if arguments.json and not arguments.output:
        raise UserError("--output: expected a file beside --json, came none")
    if arguments.output and Path(arguments.output).exists():
        taken = "expected a file that does not exist yet, came one"
        raise UserError(f"--output {arguments.output}: {taken}")
    from keras_s2s.importers import opennmt
    from keras_s2s.importers.opennmt import models

    model = models.find(arguments.model_type) if arguments.model_type else None
    theirs = opennmt.read(arguments.config)
    ours, report = opennmt.translate(theirs, model, auto=arguments.auto_config)
    text = opennmt.written(ours, report, ", ".join(arguments.config))
    if arguments.output:
        replace_file(arguments.output, text)
    if arguments.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    elif not arguments.output:
        print(text, end="")
    say(report, arguments.model_type)


def say(report, model_type):
    """A line on the standard error for every key of theirs."""
    for line in report.lines():
        print(line, file=sys.stderr)
    if not model_type:
        print("model: left out; --model-type says which of OpenNMT-tf's it is", file=sys.stderr)
