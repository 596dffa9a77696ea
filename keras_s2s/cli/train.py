"""The command `train`."""

import argparse
import sys
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.config import Config
from keras_s2s.config.input_files import check_input_files
from keras_s2s.config.run_directory import check_own_files, check_unlocked
from keras_s2s.errors import UserError
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands", "add_config", "read_config"]


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `train` to the parser's sub-commands."""
    summary = "train a model; run again to continue from the last checkpoint"
    parser = add_command(commands, "train", _train, summary)
    parser.add_argument("--json", action="store_true", help="print the final metrics as JSON")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--dry-run", action="store_true", help="check everything, write nothing")
    modes.add_argument("--profile", action="store_true", help="trace some updates into logs/")
    add_config(parser)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `read_config` reads."""
    parser.add_argument("config", metavar="CONFIG", help="a configuration file (YAML)")
    parser.add_argument(
        "--run-dir", metavar="DIR", help="default: runs/ and the configuration's name"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="section.key=value",
        help="override a key of the file, such as training.updates=100",
    )


def read_config(arguments: argparse.Namespace) -> tuple[Config, Path]:
    """Returns the configuration and the run directory of parsed arguments."""
    config = Config.load(arguments.config, arguments.overrides)
    run_dir = Path(arguments.run_dir or Path("runs") / Path(arguments.config).stem)
    if config.data.train is None:
        raise UserError("data.train: expected source and target, or pairs, got nothing")
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"{run_dir}: expected a run directory, got a file")
    return config, run_dir


def _train(arguments):
    config, run_dir = read_config(arguments)
    check_own_files(run_dir)
    check_input_files(config, run_dir)
    if not arguments.dry_run:
        check_unlocked(run_dir)
    import_tensorflow()
    from keras_s2s.training import dry_run, train

    if arguments.dry_run:
        figures = dry_run(config, run_dir, stream=None if arguments.json else sys.stdout)
    else:
        figures = train(config, run_dir, export=_exporter(config), profile=arguments.profile)
    if arguments.json:
        print(dump_json(figures))


def _exporter(config):
    """Returns the callback that exports RUN/best to RUN/export/STEP and deletes old exports."""

    def export(run_dir, step):
        from tqdm import tqdm

        from keras_s2s.export import export_saved_model, keep_newest

        directory = Path(run_dir) / "export"
        if (directory / str(step)).exists():
            return
        path = export_saved_model(run_dir, directory, version=step)
        keep_newest(directory, config.export.keep)
        tqdm.write(f"exported {path}", file=sys.stderr)  # above the progress bar

    return export
