"""The command that takes over what other toolkits made: `import`."""

import json
import sys
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically

__all__ = ["add_commands"]

LANGUAGES = ("source_language", "target_language")


def add_commands(commands) -> None:
    """Adds `import` to the parser's sub-commands."""
    summary = "make a run of another toolkit's model, or a configuration of its configuration"
    parser = add_command(commands, "import", _import, summary)
    parser.add_argument(
        "model", nargs="?", metavar="SOURCE", help="a model directory, or one of its checkpoints"
    )
    parser.add_argument("run_dir", nargs="?", metavar="RUN", help="the new run directory")
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
    parser.add_argument(
        "--num-heads", type=integer(), metavar="N", help="of a Transformer that does not tell it"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="without SOURCE: the new configuration (default: printed)"
    )
    for side in ("source", "target"):
        what = f"of M2M100 and NLLB: the {side}'s, by the model's name, as en or eng_Latn"
        parser.add_argument(f"--{side}-language", metavar="NAME", help=what)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _import(arguments):
    if arguments.model and not arguments.run_dir:
        raise UserError("RUN: expected the run directory to make, came none")
    if arguments.model and not arguments.config and _is_hugging_face(arguments.model):
        _import_hugging_face(arguments)
        return
    for name in LANGUAGES:
        if getattr(arguments, name):
            raise UserError(f"--{name.replace('_', '-')}: expected none for OpenNMT-tf, came one")
    if not arguments.config:
        raise UserError("--config: expected configuration files of OpenNMT-tf, came none")
    if arguments.model:
        _import_opennmt(arguments)
    else:
        _import_config(arguments)


def _is_hugging_face(model):
    return (Path(model) / "config.json").is_file()


def _import_hugging_face(arguments):
    """Makes a run of a Marian, M2M100 or NLLB model in a directory of Hugging Face."""
    given = ("model_type", "auto_config", "num_heads", "output")
    for name in given:
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: expected none for a Hugging Face directory, came one")
    import_tensorflow()
    from keras_s2s.importers.m2m100 import import_m2m100
    from keras_s2s.importers.marian import import_marian
    from keras_s2s.importers.vocabularies import read_json

    languages = [getattr(arguments, name) for name in LANGUAGES]
    several = read_json(Path(arguments.model) / "config.json").get("model_type") == "m2m_100"
    for name, value in zip(LANGUAGES, languages):
        if several != bool(value):
            expected = (
                "expected the language, came none"
                if several
                else ("expected none for a model of one pair, came one")
            )
            raise UserError(f"--{name.replace('_', '-')}: {expected}")
    make = import_m2m100 if several else import_marian
    run = make(arguments.model, arguments.run_dir, *(languages if several else ()))
    if arguments.json:
        print(json.dumps({"run": str(run)}))
    goes_on = f"keras-s2s train {run}/config.yml --run-dir {run} data.train.pairs=PAIRS.tsv"
    print(f"{run}: train it further by {goes_on}", file=sys.stderr)


def _import_opennmt(arguments):
    """Makes a run of an OpenNMT-tf model."""
    if arguments.output:
        raise UserError("--output: expected none beside RUN, which holds its config.yml, came one")
    from keras_s2s.importers import opennmt

    theirs = opennmt.read(arguments.config)
    import_tensorflow()
    from keras_s2s.importers.opennmt.run_import import import_run

    report = import_run(
        arguments.model,
        arguments.run_dir,
        theirs,
        model_type=arguments.model_type,
        heads=arguments.num_heads,
        auto=arguments.auto_config,
    )
    if arguments.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    _say(report)
    run = arguments.run_dir
    goes_on = f"keras-s2s train {run}/config.yml --run-dir RUN2 training.init_from={run}"
    print(f"{run}: train it further by {goes_on}", file=sys.stderr)


def _import_config(arguments):
    """Translates a configuration."""
    if arguments.json and not arguments.output:
        raise UserError("--output: expected a file beside --json, came none")
    if arguments.output and Path(arguments.output).exists():
        taken = "expected a file that does not exist yet, came one"
        raise UserError(f"--output {arguments.output}: {taken}")
    from keras_s2s.importers import opennmt
    from keras_s2s.importers.opennmt import model_types

    model = model_types.get_model_type(arguments.model_type) if arguments.model_type else None
    theirs = opennmt.read(arguments.config)
    ours, report = opennmt.translate(theirs, model, auto=arguments.auto_config)
    text = opennmt.to_yaml(ours, report, ", ".join(arguments.config))
    if arguments.output:
        write_atomically(arguments.output, text)
    if arguments.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    elif not arguments.output:
        print(text, end="")
    _say(report)
    if model is None:
        print("model: left out; --model-type says which of OpenNMT-tf's it is", file=sys.stderr)


def _say(report):
    """A line on the standard error for every key of theirs."""
    for line in report.lines():
        print(line, file=sys.stderr)
