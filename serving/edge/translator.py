"""Translation of strings by a LiteRT file, without TensorFlow.

```python
translator = EdgeTranslator("model.tflite")
print(translator.translate(["hello"], beam_size=5))
```
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_s2s.serving.edge import predict as edge_predict
from keras_s2s.serving.edge.edge_file import EdgeFile, EdgeFileWithDeadline
from keras_s2s.serving.edge.hypotheses import read_hypotheses
from keras_s2s.serving.edge.requests import RequestRow, RequestSource
from keras_s2s.serving.edge.scoring import score_row
from keras_s2s.serving.edge.search import decode_rows
from keras_s2s.serving.edge.text_processor import END_TOKEN, TextProcessor
from keras_s2s.serving.errors import StartError
from keras_s2s.signatures.arrays import decode_text
from keras_s2s.signatures.fields import SCORE, TRANSLATE
from keras_s2s.signatures.requests import limit_hypotheses, search_inputs, target_inputs
from keras_s2s.signatures.responses import Hypothesis, Score

__all__ = ["EdgeTranslator"]


class EdgeTranslator:
    """A translator in one file, on NumPy and ai-edge-litert (and sentencepiece if needed).

    Threads may share a translator; they share its interpreters.

    Args:
        path: a file written by `keras-s2s export --format litert`.
        threads: number of threads of an operation.
        interpreters: number of calls that run at the same time; each has a copy of the weights.
        check_digest: compare the file with the digest in its model card. Otherwise a file with
            damaged weights answers wrongly without an error.

    Attributes:
        card: the model card, a dict.
        caps: limits of a request.
        defaults: default options.

    Raises:
        StartError: if the file does not exist, or is not a LiteRT file of keras_s2s; with
            `check_digest` also if it is damaged or has no digest.

    Example:

    >>> from keras_s2s.serving import EdgeTranslator, StartError
    >>> try:
    ...     EdgeTranslator("missing.tflite")
    ... except StartError as error:
    ...     print(error)
    missing.tflite: No such file or directory
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int = 1,
        interpreters: int = 1,
        *,
        check_digest: bool = False,
    ) -> None:
        self._file = EdgeFile(path, threads, interpreters)
        if check_digest and not self.verify_digest():
            raise StartError(f"{path}: expected a digest in its card, got none: export it again")
        self._processor = TextProcessor(self._file)
        self.card = self._file.card
        self.caps = self._processor.caps
        defaults = {name: field.default for name, field in TRANSLATE.options().items()}
        # An older file lacks newer options.
        self.defaults: dict[str, Any] = defaults | self._file.description["defaults"]

    def translate(self, texts: Iterable[str], *, batch_size: int = 1, **options: Any) -> list[str]:
        """Returns the best target of each text, "" for a text that is too long.

        Args:
            texts: list of strings.
            batch_size: number of texts decoded together.
            **options: inputs of `keras_s2s.signatures.TRANSLATE`: one value, or one for each text.

        Raises:
            ValueError: if an option is unknown or out of range; the message names it.
        """
        rows = self.decode(texts, batch_size=batch_size, **options)
        return [hypotheses[0].text if hypotheses else "" for hypotheses in rows]

    def decode(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = 1,
        errors: str = "raise",
        timeout: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Any:
        """Returns all hypotheses of each text, best first.

        Args:
            texts, batch_size, **options: as for `translate`.
            errors: `"raise"`, or `"return"` to return a pair of the result and error messages by
                row number; such a row has no hypothesis.
            timeout: time limit of the search in seconds; None is no limit.
            is_cancelled: function that tells whether to stop before the next step; None is never.

        Raises:
            ValueError: as `translate`.
            TimeoutError: if the time limit is reached.
            concurrent.futures.CancelledError: if `is_cancelled` returns True.
        """
        file = self._file_within(timeout, is_cancelled)
        rows = self._read_rows(texts, options)
        problems = {i: row.error for i, (_, row) in enumerate(rows) if row.error}
        valid = [i for i in range(len(rows)) if i not in problems]
        results: list[list[Hypothesis]] = [[] for _ in rows]
        for start in range(0, len(valid), batch_size):
            batch = valid[start : start + batch_size]
            outputs = decode_rows(file, [rows[i] for i in batch])
            for i, row_outputs in zip(batch, outputs):
                results[i] = read_hypotheses(self._processor, row_outputs, *rows[i])
        return _with_errors(results, problems, errors)

    def stream(self, text: str, **options: Any) -> Iterator[Hypothesis]:
        """Yields the greedy target of a text while it grows, a `Hypothesis` for every token.

        Args:
            text: a string.
            **options: as for `translate`, except those that request several hypotheses.

        Returns:
            An iterator; `finished` is True only for the last hypothesis, if the model ended it.

        Raises:
            ValueError: if an argument is invalid; the message names it.
        """
        if options.get("alternatives_at") is not None:
            raise ValueError("alternatives_at: expected none of a stream, which follows one target")
        options = options | {"beam_size": 1, "num_hypotheses": 1}
        ((source, row),) = self._read_rows([text], options)
        if row.error:
            raise ValueError(row.error)
        return self._grow(source, row)

    def _grow(self, source: RequestSource, row: RequestRow) -> Iterator[Hypothesis]:
        length = 0
        for outputs, is_last in decode_rows(self._file, [(source, row)], follow=True):
            hypotheses = read_hypotheses(self._processor, outputs, source, row)
            if hypotheses and (is_last or len(hypotheses[0].tokens) > length):
                length = len(hypotheses[0].tokens)
                yield hypotheses[0]

    def score(
        self,
        texts: Iterable[str],
        targets: Iterable[str] | None = None,
        target_tokens: Iterable[Any] | None = None,
        *,
        errors: str = "raise",
    ) -> Any:
        """Computes log-probabilities of given targets.

        Args:
            texts: list of strings.
            targets: a string for each text.
            target_tokens: instead of `targets`, a list of tokens for each text.
            errors: as for `decode`; a row with an error has an empty `Score`.

        Returns:
            A `Score` for each text.
        """
        inputs = target_inputs(texts, targets, target_tokens)
        columns = {name: [decode_text(text) for text in column] for name, column in inputs.items()}
        empty = [""] * len(columns["text"])
        results, problems = self.score_rows(
            columns["text"], columns.get("target", empty), columns.get("target_tokens", empty)
        )
        return _with_errors(results, problems, errors)

    def score_rows(
        self,
        texts: Sequence[str | bytes],
        targets: Sequence[str | bytes],
        target_tokens: Sequence[str | bytes],
        timeout: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> tuple[list[Score], dict[int, str]]:
        """Scores targets given as texts or as tokens, one token on each line.

        Returns:
            A `Score` for each text, and error messages by row number.
        """
        file = self._file_within(timeout, is_cancelled)
        rows = [
            score_row(file, self._processor, *row) for row in zip(texts, targets, target_tokens)
        ]
        problems = {i: problem for i, (_, problem) in enumerate(rows) if problem}
        return [score for score, _ in rows], problems

    def predict(
        self,
        signature: str,
        inputs: dict[str, Any],
        outputs: Iterable[str] | None = None,
        timeout: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> dict[str, np.ndarray]:
        """Answers a request as a served model does, see `edge.predict.predict`.

        Args:
            signature: name of the signature.
            inputs: arrays by name.
            outputs: names of the outputs to return; None returns all.
            timeout, is_cancelled: as for `decode`.
        """
        arrays = edge_predict.predict(self, signature, inputs, timeout, is_cancelled)
        return {name: arrays[name] for name in outputs or arrays}

    def run(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature of the file, see `edge_file.EdgeFile.run`."""
        return self._file.run(signature, **inputs)

    def verify_digest(self) -> bool:
        """Compares the file with the digest in its card, see `edge_file.EdgeFile.verify_digest`.

        Returns:
            False if the file has no digest.

        Raises:
            StartError: if the file is damaged.
        """
        return self._file.verify_digest()

    def supports(self, signature: str) -> bool:
        """Returns whether `predict` can answer a signature; an old file may lack `score`."""
        needed = signature if signature == SCORE.name else "translate_ids"
        return needed in self._file.description["signatures"]

    def source_tokens(self, text: str | bytes) -> list[str]:
        """Returns the tokens that the model reads of a text, and the end token."""
        return [*self._processor.read_source(text).pieces, END_TOKEN]

    def _file_within(
        self, timeout: float | None, is_cancelled: Callable[[], bool] | None
    ) -> EdgeFile | EdgeFileWithDeadline:
        if timeout is None and is_cancelled is None:
            return self._file
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        return self._file.with_deadline(deadline, is_cancelled)

    def _read_rows(
        self, texts: Iterable[str], options: dict[str, Any]
    ) -> list[tuple[RequestSource, RequestRow]]:
        options = {name: value for name, value in options.items() if value is not None}
        options = limit_hypotheses(options, self.defaults["num_hypotheses"])
        columns = search_inputs(TRANSLATE, texts, options)
        rows = []
        for i, text in enumerate(columns.pop("text")):
            source = self._processor.read_source(text)
            row_options = {name: _to_python(column[i]) for name, column in columns.items()}
            row = self._processor.read_row(self.defaults | row_options, source)
            rows.append((source, row))
        return rows


def _to_python(value: Any) -> Any:
    # Invalid UTF-8 is preserved, since tokenizers treat it differently.
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value.item()


def _with_errors(results: list[Any], problems: dict[int, str], errors: str) -> Any:
    """Returns or raises the errors of rows; a text that is too long has an empty result."""
    if errors == "return":
        return results, problems
    for problem in problems.values():
        if not problem.startswith("text"):
            raise ValueError(problem)
    return results
