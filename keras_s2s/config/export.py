"""The section `export`: publishing during training, and caps of a request."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting
from keras_s2s.signatures.caps import CAPS

__all__ = ["Export"]


@dataclass(frozen=True)
class Export(Section):
    """Publishing of served models during training, and the caps of a request to them.

    Args:
        when: `best` publishes after every best validation, `end` after training, `never` not.
        keep: number of published versions to keep.
        max_beam_size: the largest beam of a request.
        max_length: the largest output length of a request.

    Example:

    >>> from keras_s2s.config import Export
    >>> Export(max_beam_size=8).caps()["beam_size"]
    8
    """

    when: str = setting("best", choices=("best", "end", "never"))
    keep: int = setting(3, low=1)
    max_beam_size: int = setting(CAPS["beam_size"], low=1, high=64)
    max_length: int = setting(CAPS["max_length"], low=1, high=8192)

    def caps(self) -> dict[str, int]:
        """The entries of `keras_s2s.signatures.CAPS` that this section sets."""
        return {"beam_size": self.max_beam_size, "max_length": self.max_length}
