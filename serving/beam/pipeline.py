"""Whole corpora translated by an exported model on Apache Beam, here or on a cluster.

    python -m keras_s2s.serving.pipeline --model export/my --input 'corpus/*.txt.gz' --output out/

Without `--runner` it runs in this process and holds the corpus in memory; more processes:
`--direct_running_mode multi_processing --direct_num_workers 4`. Flags that are not this command's
own go to Beam. The workers of a cluster need keras-s2s and the paths.

A runner keeps no order, so every line carries its file and number, and what comes out is put in
order: for each input file one output, which appears whole or not at all. With `--format text`
line N of it is the translation of line N, hypotheses parted by tabs; it is empty where a line was
refused. With `jsonl` it is an object with `file`, `number`, `source` and `hypotheses`, and there
is none for a refused line. Those are in the file of errors, in order too: `file`, `number`,
`source`, `error`. One file is read by one worker, which does not limit how many translate it.
"""

import sys
from dataclasses import dataclass

import numpy as np

from keras_s2s.serving.beam import io
from keras_s2s.serving.beam.optional_beam import DoFn, PTransform, need_beam
from keras_s2s.serving.client import arguments
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["Result", "Translate", "check_options", "main"]

NAMESPACE = "keras_s2s"  # of the counters `lines`, `tokens` and `errors`
POOL = 16  # batches whose texts are sorted by length together


@dataclass(frozen=True)
class Result:
    """What became of a text.

    Attributes:
        text: the source.
        hypotheses: the targets found, best first; none if there is an error.
        error: what was wrong with the text or its options, or "".
        key: what the text came with, or None.
    """

    text: str
    hypotheses: tuple[Hypothesis, ...] = ()
    error: str = ""
    key: object = None


class Translate(PTransform):
    """Texts, or pairs (key, text) -> `results` and `errors`, two PCollections of `Result`.

        found = texts | Translate("export/my", {"beam_size": 5})
        found.results | beam.Map(lambda one: one.hypotheses[0].text)

    Every worker process loads the model once. Texts that stand together in a bundle are sorted by
    length, so no order is kept. Counts `lines`, `tokens` (of all hypotheses) and `errors`.

    Args:
        model_dir: an export's version, or the base path of some, of which the highest is taken
            now, for all workers; local or on a file system that Beam knows.
        options: inputs of `keras_s2s.signatures.TRANSLATE` by name, one value for all texts;
            what is left out is the export's own default.
        batch_size: texts that are translated at once.
        alignment: whether hypotheses have theirs.

    Raises:
        ImportError: Apache Beam is not installed.
        ValueError: there is no export, or an argument or option is wrong.
        CorpusError: in a worker, the export does not load, or lacks an option.
    """

    def __init__(self, model_dir, options=None, batch_size=32, *, alignment=False):
        need_beam()
        super().__init__()
        whole = isinstance(batch_size, int) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1:
            raise ValueError(f"batch_size: expected a whole number above 0, came {batch_size!r}")
        self.options = check_options(options or {})
        self.directory = io.find_export(model_dir)
        self.batch_size, self.alignment = batch_size, alignment

    def expand(self, texts):
        import apache_beam as beam

        pool = POOL * self.batch_size
        run = _Run(self.directory, self.options, self.batch_size, self.alignment)
        return (
            texts
            | "Pool" >> beam.BatchElements(min_batch_size=pool, max_batch_size=pool)
            | "Run" >> beam.ParDo(run).with_outputs("errors", main="results")
        )


def check_options(options: dict) -> dict:
    """Options as one value each of the type that the model takes; lists become lines.

    Raises:
        ValueError: naming the option: it is unknown, of another type, or beyond the bounds that
            hold for every export.
    """
    for name, value in options.items():
        many = isinstance(value, list | tuple | np.ndarray) and np.ndim(value)
        if many and name not in arguments.LIST_INPUTS:
            raise ValueError(f"{name}: expected one value for all texts, came {value!r}")
    arrays = arguments.search_inputs(TRANSLATE, [""], options)
    del arrays["text"]
    for name, array in arrays.items():
        _check_bounds(TRANSLATE.options()[name], array[0])
    return {name: array[0] for name, array in arrays.items()}


def _check_bounds(field, value):
    low = -np.inf if field.low is None else field.low
    high = np.inf if field.high is None or isinstance(field.high, str) else field.high
    if field.dtype != "string" and not low <= value <= high:
        bounds = f"at least {low:g}" if high == np.inf else f"{low:g} to {high:g}"
        raise ValueError(f"{field.name}: expected {bounds}, came {value}")


def count(name: str, number: int) -> None:
    """Adds to one of Beam's counters."""
    from apache_beam.metrics import Metrics

    Metrics.counter(NAMESPACE, name).inc(number)


class _Run(DoFn):
    """Lists of texts, or of pairs (key, text) -> `Result` objects; the refused ones `errors`."""

    def __init__(self, directory, options, batch_size, alignment):
        from apache_beam.utils.shared import Shared

        self.directory, self.options = directory, options
        self.batch_size, self.alignment = batch_size, alignment
        self.shared = Shared()

    def setup(self):
        self.engine = self.shared.acquire(self._load)

    def _load(self):
        from keras_s2s.serving.beam.engine import Engine

        with io.local_copy(self.directory) as directory:
            try:
                return Engine(directory, self.options, self.alignment)
            except ValueError as error:
                told = str(error).replace(str(directory), self.directory)
                raise io.CorpusError(told) from error

    def process(self, pool):
        import apache_beam as beam

        rows = sorted(map(_row, pool), key=lambda row: len(row[1]))
        for start in range(0, len(rows), self.batch_size):
            for result in self._results(rows[start : start + self.batch_size]):
                yield beam.pvalue.TaggedOutput("errors", result) if result.error else result

    def _results(self, rows):
        found = self.engine.translate([text for _, text in rows])
        results = [
            Result(text, tuple(hypotheses), error, key)
            for (key, text), (hypotheses, error) in zip(rows, found, strict=True)
        ]
        count("lines", len(rows))
        count("errors", sum(1 for one in results if one.error))
        count("tokens", sum(len(h.tokens) for one in results for h in one.hypotheses))
        return results


def _row(element):
    """A text or a pair as a pair."""
    if isinstance(element, str):
        return None, element
    if isinstance(element, tuple) and len(element) == 2 and isinstance(element[1], str):
        return element
    raise TypeError(f"Translate: expected texts or pairs (key, text), came {repr(element)[:80]}")


def main(argv=None) -> int:
    """Runs the command and gives its exit status: 0, 2 for a mistake (one line says which), 130.

    Args:
        argv: the words of the command line; the process's own by default.

    Raises:
        SystemExit: for `--help` and words that cannot be parsed (status 2).
    """
    from keras_s2s.serving.beam import command

    return command.run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    # by its own name: what is pickled for the workers must not live in __main__
    from keras_s2s.serving.beam import pipeline

    sys.exit(pipeline.main())
