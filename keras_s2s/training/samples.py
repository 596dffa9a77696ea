"""What a model makes of the first validation lines, shown at every validation."""

__all__ = ["Samples"]

NAMES = ("source", "reference", "hypothesis")


class Samples:
    """Says some translations of a validation, and keeps them for TensorBoard.

    Args:
        count: how many pairs to show.
        say: takes a line for the user.
    """

    def __init__(self, count: int, say):
        self.count, self.say = count, say
        self._page = ""

    def show(self, pairs, hypotheses) -> None:
        """Shows the first pairs of (source, reference) and what was made of them."""
        pairs = [tuple(map(_shown, pair)) for pair in pairs[: self.count]]
        rows = [(*pair, made) for pair, made in zip(pairs, hypotheses)][: self.count]
        lines = [[f"{name + ':':<11} {text}" for name, text in zip(NAMES, row)] for row in rows]
        for line in sum(lines, []):
            self.say(line)
        # indented, so that Markdown shows each text as it is
        self._page = "\n\n---\n\n".join("\n".join(f"    {line}" for line in row) for row in lines)

    def page(self) -> dict:
        """The last samples as `{"samples": Markdown}`, {} when there are none."""
        return {"samples": self._page} if self._page else {}


def _shown(side):
    """A text, or what stands for frames."""
    return side if isinstance(side, str) else f"{len(side)} frames"
