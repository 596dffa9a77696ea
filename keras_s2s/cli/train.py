"""The commands that make a run: `vocab` and `train`."""

from pathlib import Path

from keras_s2s.cli.parsing import add_command
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
        parser.add_argument(
            "overrides", nargs="*", metavar="section.key=value", help="instead of the file's"
        )


def _read(arguments):
    """The configuration and the run directory that a command line names."""
    config = Config.load(arguments.config, arguments.overrides)
    return config, Path(arguments.run_dir or Path("runs") / Path(arguments.config).stem)


def _vocab(arguments):
    config, run_dir = _read(arguments)
    from keras_s2s.training import train_tokenizers

    train_tokenizers(config, run_dir)


def _train(arguments):
    config, run_dir = _read(arguments)
    from keras_s2s.training import train

    train(config, run_dir)
