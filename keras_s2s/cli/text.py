"""The commands that use a trained run on text: `translate` and `evaluate`."""

import json
import sys

from keras_s2s.cli.lines import (
    Output,
    at_a_time,
    chunks,
    is_stream,
    one_line,
    source_lines,
)
from keras_s2s.cli.parsing import add_command, integer, number
from keras_s2s.cli.quiet import import_tensorflow
from keras_s2s.config import Config, Corpus, UserError
from keras_s2s.config.sections import TEXT_METRICS
from keras_s2s.signatures import CAPS, PENALTY

__all__ = [
    "add_checkpoint_option",
    "add_commands",
    "add_search_options",
    "render",
    "search_options",
]

SEARCH = ("beam_size", "num_hypotheses", "length_penalty", "max_length")


def add_commands(commands) -> None:
    """Adds `translate` and `evaluate` to the parser's sub-commands."""
    parser = add_command(commands, "translate", _translate, "translate lines with a trained run")
    parser.add_argument("run_dir", metavar="RUN", help="a run directory")
    parser.add_argument(
        "--input",
        default="-",
        metavar="FILE",
        help="one text a line; - (default) is the standard input",
    )
    parser.add_argument(
        "--output",
        default="-",
        metavar="FILE",
        help="one line for every line of the input; - (default) is the standard output",
    )
    _add_run_options(parser)
    add_search_options(parser)
    parser = add_command(commands, "evaluate", _evaluate, "score a trained run on pairs")
    parser.add_argument("run_dir", metavar="RUN", help="a run directory")
    parser.add_argument("--source", metavar="FILE", help="sources, one a line")
    parser.add_argument("--target", metavar="FILE", help="their references")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="or both: source, tab, reference a line; default: the run's validation corpus",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"accuracy, perplexity, {', '.join(TEXT_METRICS)}; default: those of the run",
    )
    parser.add_argument("--output", metavar="FILE", help="write the hypotheses, one a line")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    _add_run_options(parser)
    add_search_options(parser, hypotheses=False)


def add_checkpoint_option(parser) -> None:
    """Adds the choice among the checkpoints of a run."""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        default="best",
        help="which of the run's checkpoints (default: best)",
    )


def _add_run_options(parser):
    add_checkpoint_option(parser)
    parser.add_argument(
        "--batch-size",
        type=integer(),
        default=32,
        metavar="N",
        help="sentences at a time (default: 32)",
    )


def add_search_options(parser, hypotheses=True) -> None:
    """Adds the options of search; left out, the model's own defaults hold."""
    group = parser.add_argument_group("search", "defaults: those of the run's configuration")
    group.add_argument(
        "--beam-size", type=integer(1, CAPS["beam_size"]), metavar="N", help="1 is greedy search"
    )
    group.add_argument(
        "--length-penalty",
        type=number(-PENALTY, PENALTY),
        metavar="X",
        help="above 0 favours long targets",
    )
    group.add_argument(
        "--max-length", type=integer(0, CAPS["max_length"]), metavar="N", help="most target tokens"
    )
    if hypotheses:
        most = CAPS["beam_size"]
        group.add_argument(
            "--num-hypotheses",
            type=integer(1, most),
            metavar="N",
            help="so many for every line, at most the beam size",
        )
        group.add_argument(
            "--scores",
            action="store_true",
            help="tab-separated lines: score, text, score, text ...",
        )
        group.add_argument("--json", action="store_true", help="a JSON object a line")


def search_options(arguments) -> dict:
    """The options of search that were given, by name."""
    given = {name: getattr(arguments, name, None) for name in SEARCH}
    return {name: value for name, value in given.items() if value is not None}


def render(source, hypotheses, arguments) -> str:
    """One line for one source: the best text, or columns, or JSON, as `arguments` ask."""
    if arguments.json:
        found = [{"text": h.text, "score": float(h.score)} for h in hypotheses]
        return json.dumps({"source": source, "hypotheses": found}, ensure_ascii=False)
    texts = [one_line(h.text) for h in hypotheses]
    if arguments.scores:
        pairs = zip(hypotheses, texts, strict=True)
        return "\t".join(f"{h.score:.4f}\t{one_line(text, chr(9))}" for h, text in pairs)
    if len(texts) > 1:
        return "\t".join(one_line(text, "\t") for text in texts)
    return texts[0] if texts else ""


def _translate(arguments):
    import_tensorflow()
    total = None
    # a broken file is known before the model loads; what can be read but once is not
    if arguments.input != "-" and not is_stream(arguments.input):
        total = sum(1 for _ in source_lines(arguments.input))
    from keras_s2s.translator import Translator

    translator = Translator.load(arguments.run_dir, checkpoint=arguments.checkpoint)
    size, options = arguments.batch_size, search_options(arguments)
    many = at_a_time(arguments.input, 16 * size)
    with Output(arguments.output) as output, _bar("translate", total, output) as bar:
        for lines in chunks(source_lines(arguments.input), many):
            found = translator.decode(lines, batch_size=size, **options)
            for line, hypotheses in zip(lines, found, strict=True):
                output.write(render(line, hypotheses, arguments))
            output.flush()
            bar.update(len(lines))


def _bar(what, total=None, output=None):
    """Progress and time left on the standard error, where a person watches it alone."""
    from tqdm import tqdm

    crossed = output is not None and output.path is None and sys.stdout.isatty()
    return tqdm(desc=what, total=total, unit=" lines", disable=crossed or None, file=sys.stderr)


def _follow(bar):
    """A callback of the work done and all the work, for a bar that did not know how much."""

    def progress(done, total):
        bar.total = total
        bar.update(done - bar.n)

    return progress


def _evaluate(arguments):
    config = Config.of_run(arguments.run_dir)
    corpus = _corpus(arguments, config)
    import_tensorflow()
    from keras_s2s.data import read_pairs

    pairs = list(read_pairs(corpus))  # a broken file is known before the model loads
    names = _metrics(arguments, config)
    from keras_s2s.evaluation import evaluate
    from keras_s2s.translator import Translator

    translator = Translator.load(arguments.run_dir, checkpoint=arguments.checkpoint)
    options = {"batch_size": arguments.batch_size, **search_options(arguments)}
    with Output(arguments.output) as output, _bar("evaluate") as bar:
        found = evaluate(translator, pairs, names, progress=_follow(bar), **options)
        texts = found.hypotheses
        if arguments.output and not texts:  # no metric needed them
            texts = translator.translate([source for source, _ in pairs], **options)
        for text in texts if arguments.output else ():
            output.write(one_line(text))
    _report(found, len(pairs), arguments.json)


def _metrics(arguments, config):
    from keras_s2s.evaluation import FORCED
    from keras_s2s.metrics import SCORERS

    known = [*FORCED, *SCORERS]
    names = arguments.metrics or [*FORCED, *(config.training.scores or ["bleu"])]
    for name in names:
        if name not in known:
            raise UserError(f"--metrics: expected some of {', '.join(known)}, came {name}")
    return names


def _corpus(arguments, config) -> Corpus:
    given = {side: getattr(arguments, side) for side in ("source", "target", "pairs")}
    if any(given.values()):
        if bool(given["source"]) != bool(given["target"]) or (given["pairs"] and given["source"]):
            raise UserError("expected --source and --target, or --pairs alone")
        return Corpus(**given)
    if config.data.valid is None:
        raise UserError("expected --source and --target, or --pairs: the run has no data.valid")
    return config.data.valid


def _report(found, lines, as_json):
    if as_json:
        print(json.dumps({"lines": lines, **found.scores, "signatures": found.signatures}))
        return
    from keras_s2s.evaluation import FORCED

    print(f"{'lines':<12} {lines:>9}")
    for name, value in found.scores.items():
        figure = f"{value:>9.4f}  " if name in FORCED else f"{value:>9.2f} %"
        print(f"{name:<12} {figure}  {found.signatures[name]}")
