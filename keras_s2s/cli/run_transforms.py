"""The commands `average` and `update-vocab`, which make a run from other runs."""

import argparse

from keras_s2s.cli.argument_parser import add_command, integer
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.config import Config
from keras_s2s.config.input_files import check_input_files

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `average` and `update-vocab` to the parser's sub-commands."""
    summary = "make a run from the mean of several checkpoints"
    parser = add_command(commands, "average", _average, summary)
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="RUN | CHECKPOINT",
        help="a run, whose checkpoints/ are averaged (see training.keep), or checkpoints",
    )
    parser.add_argument(
        "--last", type=integer(), metavar="N", help="number of checkpoints of a run"
    )
    parser.add_argument("--output", required=True, metavar="RUN2", help="the new run directory")

    summary = "make a run with the weights of another run and new tokenizers"
    parser = add_command(commands, "update-vocab", _update_vocabulary, summary)
    parser.add_argument("run_dir", metavar="RUN", help="the run whose weights are taken")
    parser.add_argument("config", metavar="CONFIG", help="a configuration: data, tokenizers")
    parser.add_argument("--output", required=True, metavar="RUN2", help="the new run directory")
    parser.add_argument(
        "--checkpoint", choices=("best", "last"), default="best", help="of RUN (default: best)"
    )
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="section.key=value", help="of CONFIG"
    )


def _average(arguments):
    import_tensorflow()
    from keras_s2s.training import average_checkpoints

    average_checkpoints(arguments.sources, arguments.output, last=arguments.last)


def _update_vocabulary(arguments):
    config = Config.load(arguments.config, arguments.overrides)
    check_input_files(config, arguments.output, only_data=True)
    import_tensorflow()
    from keras_s2s.training import update_vocabulary

    update_vocabulary(arguments.run_dir, config, arguments.output, checkpoint=arguments.checkpoint)
