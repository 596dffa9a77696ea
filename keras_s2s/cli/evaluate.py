"""The command `evaluate`: scores of a trained run on pairs."""

import argparse

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.length_windows import add_batch_option, progress_bar
from keras_s2s.cli.option_flags import add_checkpoint_option, add_search_options, search_options
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.cli.text_streams import LineOutput, on_one_line
from keras_s2s.config import Config, Corpus
from keras_s2s.config.training import TEXT_METRICS
from keras_s2s.errors import UserError
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

EXCLUDED_OPTIONS = ("num_hypotheses", "alternatives_at")  # only the best hypothesis is scored


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `evaluate` to the parser's sub-commands."""
    parser = add_command(commands, "evaluate", _evaluate, "score a trained run on pairs")
    parser.add_argument("run_dir", metavar="RUN", help="a run directory")
    parser.add_argument("--source", metavar="FILE", help="sources, one a line")
    parser.add_argument("--target", metavar="FILE", help="references, one a line")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="both: source, tab, reference in a line; default: the run's validation corpus",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"accuracy, perplexity, {', '.join(TEXT_METRICS)}; default: those of the run",
    )
    parser.add_argument("--output", metavar="FILE", help="write the hypotheses, one a line")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    add_checkpoint_option(parser)
    add_batch_option(parser)
    add_search_options(parser, without=EXCLUDED_OPTIONS)


def _progress_callback(bar):
    """Returns a callback of finished and total work that updates a progress bar."""

    def progress(done, total):
        bar.total = total
        bar.update(done - bar.n)

    return progress


def _evaluate(arguments):
    config = Config.from_run(arguments.run_dir)
    corpus = _corpus(arguments, config)
    import_tensorflow()
    from keras_s2s.data import read_pairs

    pairs = list(read_pairs(corpus))  # reports a broken file before the model loads
    names = _metrics(arguments, config)
    from keras_s2s.metrics.evaluation import evaluate
    from keras_s2s.translator import Translator

    translator = Translator.load(arguments.run_dir, checkpoint=arguments.checkpoint)
    options = {"batch_size": arguments.batch_size, **search_options(arguments)}
    with LineOutput(arguments.output) as output, progress_bar("evaluate") as bar:
        evaluation = evaluate(translator, pairs, names, progress=_progress_callback(bar), **options)
        texts = evaluation.hypotheses
        if arguments.output and not texts:  # no metric decodes
            texts = translator.translate([source for source, _ in pairs], **options)
        for text in texts if arguments.output else ():
            output.write(on_one_line(text))
    _report(evaluation, len(pairs), arguments.json)


def _metrics(arguments, config):
    from keras_s2s.metrics import SCORERS
    from keras_s2s.metrics.evaluation import TEACHER_FORCED

    choices = [*TEACHER_FORCED, *SCORERS]
    names = arguments.metrics or [*TEACHER_FORCED, *(config.training.scores or ["bleu"])]
    for name in names:
        if name not in choices:
            raise UserError(f"--metrics: expected some of {', '.join(choices)}, got {name}")
    return names


def _corpus(arguments, config) -> Corpus:
    files = {side: getattr(arguments, side) for side in ("source", "target", "pairs")}
    if any(files.values()):
        if bool(files["source"]) != bool(files["target"]) or (files["pairs"] and files["source"]):
            raise UserError("expected --source and --target, or --pairs alone")
        return Corpus(**files)
    if config.data.valid is None:
        raise UserError("expected --source and --target, or --pairs: the run has no data.valid")
    return config.data.valid


def _report(evaluation, lines, as_json):
    if as_json:
        print(dump_json({"lines": lines, **evaluation.scores, "signatures": evaluation.signatures}))
        return
    from keras_s2s.metrics.evaluation import TEACHER_FORCED

    print(f"{'lines':<12} {lines:>9}")
    for name, value in evaluation.scores.items():
        figure = f"{value:>9.4f}  " if name in TEACHER_FORCED else f"{value:>9.2f} %"
        print(f"{name:<12} {figure}  {evaluation.signatures[name]}")
