"""Translation of whole corpora by an exported model on Apache Beam, locally or on a cluster.

    python -m keras_s2s.serving.pipeline --model export/my --input 'corpus/*.txt.gz' --output out/

Without `--runner` the pipeline runs in this process and holds the corpus in memory; for more
processes use `--direct_running_mode multi_processing --direct_num_workers 4`. Unknown flags are
passed to Beam. The workers of a cluster need keras-s2s and access to the paths.

A runner preserves no order, so every line carries its file and number, and the output is put in
order: one output for each input file, which appears complete or not at all. With `--format text`
line N is the translation of line N, hypotheses separated by tabs, and an empty line where a line
was rejected. With `jsonl` it is an object with `file`, `number`, `source` and `hypotheses`, and
rejected lines are omitted. They are in the file of errors, in order too: `file`, `number`,
`source`, `error`. One worker reads one file, which does not limit how many translate it.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras_s2s.serving.beam import exports, io
from keras_s2s.serving.beam.counters import count
from keras_s2s.serving.beam.optional_beam import DoFn, PTransform, check_beam_installed
from keras_s2s.serving.beam.options import check_options
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["Result", "Translate", "main"]

POOL_BATCHES = 16  # batches whose texts are sorted by length together


@dataclass(frozen=True)
class Result:
    """Translation of one text.

    Attributes:
        text: the source.
        hypotheses: the targets, best first; empty if there is an error.
        error: error message about the text or its options, or "".
        key: key of the input pair, or None.
    """

    text: str
    hypotheses: tuple[Hypothesis, ...] = ()
    error: str = ""
    key: Any = None


class Translate(PTransform):
    """Translates texts, or pairs (key, text), to two PCollections of `Result`.

    The PCollections are `results` and `errors`. Every worker process loads the model once. The
    texts of a bundle are sorted by length, so their order is not preserved. The transform counts
    `lines`, `tokens` (of all hypotheses) and `errors`.

    Args:
        model_dir: an export's version, or a base path, of which the highest version at this
            moment is used by all workers; local or on a file system that Beam supports.
        options: inputs of `keras_s2s.signatures.TRANSLATE` by name, one value for all texts;
            an omitted option uses the export's default.
        batch_size: number of texts translated at once.
        alignment: whether hypotheses include the alignment.

    Raises:
        ImportError: if Apache Beam is not installed.
        ValueError: if there is no export, or an argument or option is invalid.
        CorpusError: in a worker, if the export does not load or lacks an option.

    Example:

    ```python
    translations = texts | Translate("export/my", {"beam_size": 5})
    translations.results | beam.Map(lambda result: result.hypotheses[0].text)
    ```
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str],
        options: dict[str, Any] | None = None,
        batch_size: int = 32,
        *,
        alignment: bool = False,
    ) -> None:
        check_beam_installed()
        super().__init__()
        is_integer = isinstance(batch_size, int) and not isinstance(batch_size, bool)
        if not is_integer or batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer, got {batch_size!r}")
        self.options = check_options(options or {})
        self.directory = exports.find_export(model_dir)
        self.batch_size, self.alignment = batch_size, alignment

    def expand(self, texts: Any) -> Any:
        import apache_beam as beam

        pool_size = POOL_BATCHES * self.batch_size
        translate = _TranslatePool(self.directory, self.options, self.batch_size, self.alignment)
        return (
            texts
            | "Pool" >> beam.BatchElements(min_batch_size=pool_size, max_batch_size=pool_size)
            | "Run" >> beam.ParDo(translate).with_outputs("errors", main="results")
        )


class _TranslatePool(DoFn):
    """Translates a list of texts or pairs (key, text); rejected ones are tagged `errors`."""

    def __init__(
        self, directory: str, options: dict[str, Any], batch_size: int, alignment: bool
    ) -> None:
        from apache_beam.utils.shared import Shared

        self.directory, self.options = directory, options
        self.batch_size, self.alignment = batch_size, alignment
        self.shared = Shared()

    def setup(self) -> None:
        self.engine = self.shared.acquire(self._load)

    def _load(self) -> Any:
        from keras_s2s.serving.beam.engine import Engine

        with exports.local_copy(self.directory) as directory:
            try:
                return Engine(directory, self.options, self.alignment)
            except ValueError as error:
                message = str(error).replace(str(directory), self.directory)
                raise io.CorpusError(message) from error

    def process(self, pool: list[Any]) -> Iterator[Any]:
        import apache_beam as beam

        rows = sorted(map(_as_pair, pool), key=lambda row: len(row[1]))
        for start in range(0, len(rows), self.batch_size):
            for result in self._translate(rows[start : start + self.batch_size]):
                yield beam.pvalue.TaggedOutput("errors", result) if result.error else result

    def _translate(self, rows: list[tuple[Any, str]]) -> list[Result]:
        translations = self.engine.translate([text for _, text in rows])
        results = [
            Result(text, tuple(hypotheses), error, key)
            for (key, text), (hypotheses, error) in zip(rows, translations, strict=True)
        ]
        hypotheses = [hypothesis for result in results for hypothesis in result.hypotheses]
        count("lines", len(rows))
        count("errors", sum(1 for result in results if result.error))
        count("tokens", sum(len(hypothesis.tokens) for hypothesis in hypotheses))
        return results


def _as_pair(element: Any) -> tuple[Any, str]:
    """Returns a text or a pair (key, text) as a pair."""
    if isinstance(element, str):
        return None, element
    if isinstance(element, tuple) and len(element) == 2 and isinstance(element[1], str):
        return element
    raise TypeError(f"Translate: expected texts or pairs (key, text), got {repr(element)[:80]}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 2 for a user's mistake, 130.

    Args:
        argv: words of the command line; None uses those of the process.

    Raises:
        SystemExit: for `--help`, and with status 2 for words that cannot be parsed.
    """
    from keras_s2s.serving.beam import command

    return command.run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    # The module is imported by its name: classes that are pickled for the workers must not be in
    # __main__.
    from keras_s2s.serving.beam import pipeline

    sys.exit(pipeline.main())
