"""The command of `keras_s2s.serving.pipeline`: its flags, and files in and out."""

import argparse
import contextlib
import json
import os
import re
import sys

import numpy as np

from keras_s2s.serving.beam import io, pipeline
from keras_s2s.serving.beam.optional_beam import DoFn, need_beam
from keras_s2s.signatures.fields import LIST_INPUTS, TRANSLATE

__all__ = ["parse", "render", "run"]

PROG = "python -m keras_s2s.serving.pipeline"
FORMATS = {"text": "", "jsonl": ".jsonl"}  # and what the names of outputs end in
RUNNER = "FnApiRunner"  # the DirectRunner first tries to fetch a program from the network


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own flags, and the words that are left for Beam.

    Raises:
        SystemExit: for `--help` and flags that cannot be parsed (status 2).
    """
    parser = _Parser(
        prog=PROG,
        allow_abbrev=False,
        description="Translate the lines of files by an exported model on Apache Beam.",
        epilog="Other flags go to Beam: --runner NAME, --direct_num_workers N, ...",
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="an export, or the base path of some"
    )
    parser.add_argument(
        "--input", required=True, nargs="+", metavar="PATTERN", help="text files, .gz too"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="PREFIX",
        help="of the outputs, one for each input; a folder if it ends in /",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="text (default): line N for line N"
    )
    parser.add_argument(
        "--batch-size",
        "--batch_size",
        type=int,
        default=32,
        metavar="N",
        help="lines at a time (default: 32)",
    )
    group = parser.add_argument_group("search", "left out: the export's own defaults")
    for field in TRANSLATE.options().values():
        _add_option(group, field)
    return parser.parse_known_args(argv)


def _add_option(group, field):
    flags = list(dict.fromkeys([f"--{field.name.replace('_', '-')}", f"--{field.name}"]))
    meaning = field.description.replace("%", "%%")
    if field.dtype == "bool":
        action = argparse.BooleanOptionalAction
        group.add_argument(*flags, action=action, default=None, help=meaning)
    elif field.name in LIST_INPUTS:
        meaning = meaning.replace("one a line", "blanks between")
        group.add_argument(*flags, nargs="+", action="extend", metavar="TEXT", help=meaning)
    else:
        kind, word = {"s": (str, "TEXT"), "f": (float, "X"), "i": (int, "N")}[field.dtype[0]]
        group.add_argument(*flags, type=kind, metavar=word, help=meaning)


def run(argv: list[str]) -> int:
    """Runs a command line and gives its exit status; see `pipeline.main`."""
    arguments, flags = parse(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        need_beam()
        whole, lines, targets = _plan(arguments, flags)
    except (ImportError, ValueError, OSError) as error:
        return _fail(error)
    try:
        counts = _carry_out(whole, lines, targets, arguments.output)
    except (io.CorpusError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 130
    errors = targets[-1]
    if counts["lines"] and counts["lines"] == counts["errors"]:
        return _fail(f"every line was refused, the first one for: {_first(errors)}")
    refused = f"{counts['errors']} errors" + (f", see {errors}" if counts["errors"] else "")
    sys.stderr.write(f"{counts['lines']} lines, {counts['tokens']} tokens, {refused}\n")
    return 0


def _fail(problem):
    sys.stderr.write(f"{PROG}: error: {' '.join(str(problem).splitlines())}\n")
    return 2


def _first(errors):
    return json.loads(next(io.read_lines(errors)))["error"]


def _plan(arguments, flags):
    """A pipeline, its lines for `corpora.WriteInOrder`, and the files that they go to."""
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems

    options = _beam_options(flags)
    FileSystems.set_options(options)  # how to get at remote ones
    given = {name: getattr(arguments, name) for name in TRANSLATE.options()}
    given = {name: value for name, value in given.items() if value is not None}
    translate = pipeline.Translate(arguments.model, given, arguments.batch_size)
    inputs = io.find_inputs(arguments.input)
    outputs, errors = io.name_outputs(arguments.output, inputs, FORMATS[arguments.format])
    whole = beam.Pipeline(options=options)
    return whole, _build(whole, inputs, translate, arguments.format), [*outputs, errors]


def _carry_out(whole, lines, targets, prefix):
    """Gives Beam's counters by name."""
    from apache_beam.runners.runner import PipelineState

    with io.scratch_folder(prefix) as scratch:
        lines | io.WriteInOrder(targets, scratch)
        with _mistakes_of_workers():
            result = whole.run()
            state = result.wait_until_finish() or result.state
    if state != PipelineState.DONE:
        raise RuntimeError(f"the pipeline ended as {state}, expected DONE")
    return _counts(result)


@contextlib.contextmanager
def _mistakes_of_workers():
    """Finds a `CorpusError` in what a runner tells of a worker, which may be another process."""
    try:
        yield
    except Exception as error:
        told = re.findall(
            r"CorpusError: (.*?)(?: \[while running .*)?$", f"{type(error).__name__}: {error}", re.M
        )
        if told:
            raise io.CorpusError(told[-1]) from error
        raise


def _beam_options(flags):
    """Beam's options of the words that are left; Beam itself would pass over what it does not know.

    Raises:
        ValueError: a flag is neither the command's nor Beam's, and no service is asked for more.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    options = PipelineOptions(flags)
    standard = options.view_as(StandardOptions)
    standard.runner = standard.runner or RUNNER
    known = options.get_all_options()
    unknown = [
        name for name in options.get_all_options(retain_unknown_options=True) if name not in known
    ]
    if unknown and standard.runner in StandardOptions.LOCAL_RUNNERS:
        raise ValueError(f"--{unknown[0]}: expected a flag of this command or of Beam")
    if flags and not flags[0].startswith("-"):
        raise ValueError(f"{flags[0]}: expected a flag")
    return options


def _build(whole, inputs, translate, form):
    """The lines of all outputs, those of errors for the target behind them."""
    import apache_beam as beam

    read = (
        whole
        | "Inputs" >> beam.Create(list(enumerate(inputs)))
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(_Read()).with_outputs("errors", main="lines")
    )
    found = read.lines | "SpreadLines" >> beam.Reshuffle() | translate
    results = (read.errors, found.errors, found.results) | "Both" >> beam.Flatten()
    return results | "Render" >> beam.FlatMap(render, inputs, form)


class _Read(DoFn):
    """A numbered file -> pairs ((file, number), text); what is no UTF-8 goes to `errors`."""

    def process(self, element):
        from apache_beam.pvalue import TaggedOutput

        file, path = element
        for number, line in enumerate(io.read_lines(path), 1):
            try:
                yield (file, number), line.decode()
            except UnicodeDecodeError as error:
                came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
                text, key = line.decode(errors="replace"), (file, number)
                pipeline.count("lines", 1)
                pipeline.count("errors", 1)
                result = pipeline.Result(text, (), f"expected UTF-8, came {came}", key)
                yield TaggedOutput("errors", result)


def render(result: "pipeline.Result", inputs: list[str], form: str) -> list:
    """The lines that a result is written as, for `corpora.WriteInOrder`.

    Args:
        result: its key is the number of the file in `inputs`, from 0, and of the line, from 1.
        inputs: the files; the outputs are numbered as they are, and the errors come last.
        form: `"text"` or `"jsonl"`.
    """
    file, number = result.key
    row = {"file": inputs[file], "number": number, "source": result.text}
    if result.error:
        line = json.dumps(row | {"error": result.error}, ensure_ascii=False)
        refused = [io.sort_out(len(inputs), file, number, line)]
        return refused + [io.sort_out(file, file, number, "")] * (form == "text")
    if form == "text":
        line = _columns([one.text for one in result.hypotheses])
    else:
        row["hypotheses"] = [_as_dict(one) for one in result.hypotheses]
        line = json.dumps(row, ensure_ascii=False)
    return [io.sort_out(file, file, number, line)]


def _columns(texts):
    separators = "\r\n\t" if len(texts) > 1 else "\r\n"
    blanks = dict.fromkeys(map(ord, separators), " ")
    return "\t".join(text.translate(blanks) for text in texts)


def _as_dict(one):
    return {
        "text": one.text,
        "score": _figure(one.score),
        "log_prob": _figure(one.log_prob),
        "tokens": list(one.tokens),
        "token_log_probs": [_figure(value) for value in one.token_log_probs],
        "finished": one.finished,
    }


def _figure(value):
    """A float32 as the shortest number that reads back as it; None, JSON's null, if infinite."""
    value = np.float32(value)
    return float(str(value)) if np.isfinite(value) else None


def _counts(result):
    """A metric of which nothing was counted is none."""
    counts = dict.fromkeys(("lines", "tokens", "errors"), 0)
    for one in result.metrics().query()["counters"]:
        if one.key.metric.namespace == pipeline.NAMESPACE:
            counts[one.key.metric.name] += one.result
    return counts
