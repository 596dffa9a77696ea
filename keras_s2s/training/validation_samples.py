"""Sample translations of a validation."""

from collections.abc import Callable, Sequence
from typing import Any

from keras_s2s.metrics import score

__all__ = ["ValidationSamples"]

LABELS = ("source", "reference", "hypothesis", "score")


class ValidationSamples:
    """Prints the first translations of a validation, and keeps them for TensorBoard.

    Args:
        count: number of pairs to show.
        log: takes a line for the user.
        metric: a name of `metrics.SCORERS` to score each hypothesis by; None for no score.
    """

    def __init__(self, count: int, log: Callable[[str], None], metric: str | None = None) -> None:
        self.count, self.log, self.metric = count, log, metric
        self._page = ""

    def show(self, pairs: Sequence[tuple[Any, Any]], hypotheses: Sequence[str]) -> None:
        """Prints the first pairs of (source, reference) with their hypotheses and scores."""
        samples = [
            self._format(source, reference, hypothesis)
            for (source, reference), hypothesis in zip(pairs[: self.count], hypotheses)
        ]
        for line in (line for lines in samples for line in lines):
            self.log(line)
        # An indented line is code in Markdown, which shows the text unchanged.
        texts = ["\n".join(f"    {line}" for line in lines) for lines in samples]
        self._page = "\n\n---\n\n".join(texts)

    def page(self) -> dict[str, str]:
        """The last samples as `{"samples": Markdown}`; {} if there are none."""
        return {"samples": self._page} if self._page else {}

    def _format(self, source: Any, reference: Any, hypothesis: str) -> list[str]:
        """The labelled lines of a sample."""
        texts = [_as_text(source), _as_text(reference), hypothesis]
        if self.metric:
            value = score([self.metric], [hypothesis], [texts[1]])[self.metric]
            texts.append(f"{self.metric} {value:.1f}")
        return [
            f"{label + ':':<11} {' '.join(text.splitlines())}" for label, text in zip(LABELS, texts)
        ]


def _as_text(side: Any) -> str:
    """The text itself, or the length of features."""
    return side if isinstance(side, str) else f"{len(side)} frames"
