"""Command that translates files on Apache Beam."""

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from keras_s2s.io import describe_invalid_byte
from keras_s2s.serving.beam import io, pipeline
from keras_s2s.serving.beam.command_line import FORMATS, PROG, parse
from keras_s2s.serving.beam.counters import count, read_counters
from keras_s2s.serving.beam.optional_beam import DoFn, check_beam_installed
from keras_s2s.serving.beam.ordered_output import WriteInOrder, scratch_folder
from keras_s2s.serving.beam.rendering import render
from keras_s2s.signatures.fields import TRANSLATE

__all__ = ["run"]

RUNNER = "FnApiRunner"  # the DirectRunner first tries to download a program


def run(argv: list[str]) -> int:
    """Runs a command line and returns its exit status; see `pipeline.main`."""
    flags, beam_flags = parse(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        check_beam_installed()
        beam_pipeline, lines, targets = _plan(flags, beam_flags)
    except (ImportError, ValueError, OSError) as error:
        return _fail(error)
    try:
        counts = _run_pipeline(beam_pipeline, lines, targets, flags.output)
    except (io.CorpusError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return 130
    errors = targets[-1]
    if counts["lines"] and counts["lines"] == counts["errors"]:
        return _fail(f"every line was refused, the first one for: {_first_error(errors)}")
    refused = f"{counts['errors']} errors" + (f", see {errors}" if counts["errors"] else "")
    sys.stderr.write(f"{counts['lines']} lines, {counts['tokens']} tokens, {refused}\n")
    return 0


def _fail(problem: Any) -> int:
    sys.stderr.write(f"{PROG}: error: {' '.join(str(problem).splitlines())}\n")
    return 2


def _first_error(errors_path: str) -> str:
    return json.loads(next(io.read_lines(errors_path)))["error"]


def _plan(flags: argparse.Namespace, beam_flags: list[str]) -> tuple[Any, Any, list[str]]:
    """Returns a pipeline, its PCollection of lines for `WriteInOrder`, and the target files."""
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems

    beam_options = _parse_beam_flags(beam_flags)
    FileSystems.set_options(beam_options)  # credentials of remote file systems
    options = {name: getattr(flags, name) for name in TRANSLATE.options()}
    options = {name: value for name, value in options.items() if value is not None}
    translate = pipeline.Translate(flags.model, options, flags.batch_size)
    inputs = io.find_inputs(flags.input)
    outputs, errors = io.name_outputs(flags.output, inputs, FORMATS[flags.format])
    beam_pipeline = beam.Pipeline(options=beam_options)
    lines = _build(beam_pipeline, inputs, translate, flags.format)
    return beam_pipeline, lines, [*outputs, errors]


def _run_pipeline(
    beam_pipeline: Any, lines: Any, targets: list[str], prefix: str
) -> dict[str, int]:
    """Writes the target files and returns the counters by name."""
    from apache_beam.runners.runner import PipelineState

    with scratch_folder(prefix) as scratch:
        lines | WriteInOrder(targets, scratch)
        with _corpus_errors_of_workers():
            result = beam_pipeline.run()
            state = result.wait_until_finish() or result.state
    if state != PipelineState.DONE:
        raise RuntimeError(f"the pipeline ended as {state}, expected DONE")
    return read_counters(result)


@contextlib.contextmanager
def _corpus_errors_of_workers() -> Iterator[None]:
    """Raises the `CorpusError` that a runner's exception quotes from a worker process."""
    try:
        yield
    except Exception as error:
        messages = re.findall(
            r"CorpusError: (.*?)(?: \[while running .*)?$", f"{type(error).__name__}: {error}", re.M
        )
        if messages:
            raise io.CorpusError(messages[-1]) from error
        raise


def _parse_beam_flags(flags: list[str]) -> Any:
    """Returns Beam's options; Beam itself ignores unknown flags.

    Raises:
        ValueError: if a flag is unknown to Beam and the runner is local; the service of a remote
            runner may have flags of its own.
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


def _build(
    beam_pipeline: Any, inputs: list[str], translate: pipeline.Translate, output_format: str
) -> Any:
    """Returns the PCollection of the lines of all targets, the errors' target last."""
    import apache_beam as beam

    read = (
        beam_pipeline
        | "Inputs" >> beam.Create(list(enumerate(inputs)))
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(_ReadLines()).with_outputs("errors", main="lines")
    )
    translated = read.lines | "SpreadLines" >> beam.Reshuffle() | translate
    results = (read.errors, translated.errors, translated.results) | "Both" >> beam.Flatten()
    return results | "Render" >> beam.FlatMap(render, inputs, output_format)


class _ReadLines(DoFn):
    """Reads a numbered file as pairs ((file, number), text); invalid UTF-8 is tagged `errors`."""

    def process(self, element: tuple[int, str]) -> Iterator[Any]:
        from apache_beam.pvalue import TaggedOutput

        file, path = element
        for number, line in enumerate(io.read_lines(path), 1):
            try:
                yield (file, number), line.decode()
            except UnicodeDecodeError as error:
                invalid = describe_invalid_byte(error)
                text, key = line.decode(errors="replace"), (file, number)
                count("lines", 1)
                count("errors", 1)
                result = pipeline.Result(text, (), f"expected UTF-8, got {invalid}", key)
                yield TaggedOutput("errors", result)
