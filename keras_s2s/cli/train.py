"""The commands that make a run: `vocab` and `train`."""

import json
import shutil
import sys
from pathlib import Path

from keras_s2s.cli.parsing import add_command
from keras_s2s.cli.quiet import import_tensorflow
from keras_s2s.config import Config

__all__ = ["add_commands"]


def add_commands(commands) -> None:
    """Adds `vocab` and `train` to the parser's sub-commands."""
    for name, run, summary in (
        ("vocab", _vocab, "train the tokenizers of a configuration"),
        ("train", _train, "train a model; again: go on from the last checkpoint"),
    ):
        parser = add_command(commands, name, run, summary)
        parser.add_argument("config", metavar="CONFIG", help="a configuration file (YAML)")
        parser.add_argument(
            "--run-dir", metavar="DIR", help="default: runs/ and the configuration's name"
        )
        if name == "train":
            parser.add_argument("--json", action="store_true", help="print the last figures")
        parser.add_argument(
            "overrides",
            nargs="*",
            default=[],
            metavar="section.key=value",
            help="instead of the file's",
        )


def _read(arguments):
    """The configuration and the run directory that a command line names."""
    config = Config.load(arguments.config, arguments.overrides)
    run_dir = arguments.run_dir or Path("runs") / Path(arguments.config).stem
    return config, Path(run_dir)


def _vocab(arguments):
    config, run_dir = _read(arguments)
    import_tensorflow()
    from keras_s2s.training import train_tokenizers

    train_tokenizers(config, run_dir, say=lambda text: print(text, file=sys.stderr))


def _train(arguments):
    config, run_dir = _read(arguments)
    import_tensorflow()
    from keras_s2s.training import train

    figures = train(config, run_dir, export=_exporter(config))
    if arguments.json:
        print(json.dumps(figures))


def _exporter(config):
    """What `train` calls to publish RUN/best as RUN/export/STEP, the oldest ones going."""

    def export(run_dir, step):
        from keras_s2s.export import export_saved_model

        directory = Path(run_dir) / "export"
        if (directory / str(step)).exists():
            return
        path = export_saved_model(run_dir, directory, version=step)
        versions = sorted((p for p in directory.iterdir() if p.name.isdigit()), key=_number)
        for old in versions[: -config.export.keep]:
            shutil.rmtree(old)
        print(f"exported {path}", file=sys.stderr)

    return export


def _number(path):
    return int(path.name)
