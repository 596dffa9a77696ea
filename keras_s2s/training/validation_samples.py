"""What a model makes of the first validation lines, shown at every validation."""

from keras_s2s.metrics import score

__all__ = ["ValidationSamples"]

NAMES = ("source", "reference", "hypothesis", "score")


class ValidationSamples:
    """Says some translations of a validation, and keeps them for TensorBoard.

    Args:
        count: how many pairs to show.
        say: takes a line for the user.
        metric: of `metrics.SCORERS`, what each hypothesis alone is scored by; None for no score.
    """

    def __init__(self, count: int, say, metric: str | None = None):
        self.count, self.say, self.metric = count, say, metric
        self._page = ""

    def show(self, pairs, hypotheses) -> None:
        """Shows the first pairs of (source, reference), what was made of them, and its score."""
        pairs = [tuple(map(_shown, pair)) for pair in pairs[: self.count]]
        rows = [(*pair, made) for pair, made in zip(pairs, hypotheses)][: self.count]
        rows = [(*row, self._scored(*row[1:])) if self.metric else row for row in rows]
        rows = [[" ".join(text.splitlines()) for text in row] for row in rows]
        lines = [[f"{name + ':':<11} {text}" for name, text in zip(NAMES, row)] for row in rows]
        for line in sum(lines, []):
            self.say(line)
        # indented, so that Markdown shows each text as it is
        self._page = "\n\n---\n\n".join("\n".join(f"    {line}" for line in row) for row in lines)

    def _scored(self, reference, hypothesis):
        return f"{self.metric} {score([self.metric], [hypothesis], [reference])[self.metric]:.1f}"

    def page(self) -> dict:
        """The last samples as `{"samples": Markdown}`, {} when there are none."""
        return {"samples": self._page} if self._page else {}


def _shown(side):
    """A text, or what stands for frames."""
    return side if isinstance(side, str) else f"{len(side)} frames"
