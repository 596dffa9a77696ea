"""The command `import`: models and configurations of other toolkits."""

import argparse
import sys
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

LANGUAGES = ("source_language", "target_language")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `import` to the parser's sub-commands."""
    summary = "convert a model or a configuration of another toolkit"
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
        help="configuration files of OpenNMT-tf; later files override earlier ones",
    )
    parser.add_argument(
        "--model-type", metavar="NAME", help="OpenNMT-tf model type, such as TransformerBase"
    )
    parser.add_argument(
        "--auto-config",
        action="store_true",
        help="use the automatic values of the model type for missing keys",
    )
    parser.add_argument(
        "--num-heads",
        type=integer(),
        metavar="N",
        help="number of heads of a Transformer whose files do not state it",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="without SOURCE: file of the new configuration (default: printed)",
    )
    for side in ("source", "target"):
        description = f"for M2M100 and NLLB: the model's code of the {side} language: en, eng_Latn"
        parser.add_argument(f"--{side}-language", metavar="NAME", help=description)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _import(arguments):
    if arguments.model and not arguments.run_dir:
        raise UserError("RUN: expected the run directory to create, got none")
    if arguments.model and not arguments.config and _is_hugging_face(arguments.model):
        _import_hugging_face(arguments)
        return
    for name in LANGUAGES:
        if getattr(arguments, name):
            raise UserError(
                f"--{name.replace('_', '-')}: expected no value for OpenNMT-tf, got one"
            )
    if not arguments.config:
        raise UserError("--config: expected configuration files of OpenNMT-tf, got none")
    if arguments.model:
        _import_opennmt(arguments)
    else:
        _import_config(arguments)


def _is_hugging_face(model):
    return (Path(model) / "config.json").is_file()


def _import_hugging_face(arguments):
    """Creates a run from a Marian, M2M100 or NLLB model in a Hugging Face directory."""
    for name in ("model_type", "auto_config", "num_heads", "output"):
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: expected no value for a Hugging Face directory, got one")
    import_tensorflow()
    from keras_s2s.importers.m2m100 import import_m2m100
    from keras_s2s.importers.marian import import_marian
    from keras_s2s.importers.vocabularies import read_json

    languages = [getattr(arguments, name) for name in LANGUAGES]
    is_multilingual = (
        read_json(Path(arguments.model) / "config.json").get("model_type") == "m2m_100"
    )
    for name, value in zip(LANGUAGES, languages):
        if is_multilingual != bool(value):
            expected = (
                "expected the language, got none"
                if is_multilingual
                else "expected none for a model of one language pair, got one"
            )
            raise UserError(f"--{name.replace('_', '-')}: {expected}")
    convert = import_m2m100 if is_multilingual else import_marian
    run = convert(arguments.model, arguments.run_dir, *(languages if is_multilingual else ()))
    if arguments.json:
        print(dump_json({"run": str(run)}))
    next_command = f"keras-s2s train {run}/config.yml --run-dir {run} data.train.pairs=PAIRS.tsv"
    print(f"{run}: to continue training: {next_command}", file=sys.stderr)


def _import_opennmt(arguments):
    """Creates a run from an OpenNMT-tf model."""
    if arguments.output:
        raise UserError("--output: expected none with RUN, which holds its config.yml, got one")
    from keras_s2s.importers import opennmt

    opennmt_config = opennmt.read(arguments.config)
    import_tensorflow()
    from keras_s2s.importers.opennmt.run_import import import_run

    report = import_run(
        arguments.model,
        arguments.run_dir,
        opennmt_config,
        model_type=arguments.model_type,
        heads=arguments.num_heads,
        auto=arguments.auto_config,
    )
    if arguments.json:
        print(dump_json(report.to_dict(), ensure_ascii=False))
    _print_report(report)
    run = arguments.run_dir
    next_command = f"keras-s2s train {run}/config.yml --run-dir RUN2 training.init_from={run}"
    print(f"{run}: to continue training: {next_command}", file=sys.stderr)


def _import_config(arguments):
    """Converts a configuration."""
    if arguments.json and not arguments.output:
        raise UserError("--output: expected a file with --json, got none")
    if arguments.output and Path(arguments.output).exists():
        problem = "expected a path that does not exist, got an existing file"
        raise UserError(f"--output {arguments.output}: {problem}")
    from keras_s2s.importers import opennmt
    from keras_s2s.importers.opennmt import model_types

    model = model_types.get_model_type(arguments.model_type) if arguments.model_type else None
    opennmt_config = opennmt.read(arguments.config)
    config, report = opennmt.translate(opennmt_config, model, auto=arguments.auto_config)
    text = opennmt.written(config, report, ", ".join(arguments.config))
    if arguments.output:
        write_atomically(arguments.output, text)
    if arguments.json:
        print(dump_json(report.to_dict(), ensure_ascii=False))
    elif not arguments.output:
        print(text, end="")
    _print_report(report)
    if model is None:
        print("model: omitted; select the OpenNMT-tf model with --model-type", file=sys.stderr)


def _print_report(report):
    """A line on the standard error for every key of theirs."""
    for line in report.lines():
        print(line, file=sys.stderr)
