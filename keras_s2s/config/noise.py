"""The section `data.noise`: noise on training sources."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["Noise"]


@dataclass(frozen=True)
class Noise(Section):
    """Noise on the words of training sources, drawn anew each time a source is read.

    A word starts at every token that the tokenizer marks as the beginning of a word.

    Args:
        drop: probability of removing a word.
        permute: the largest distance by which a word moves, 0 for none.
        replace: probability of replacing a word by the unknown token.

    Reference:

    - Lample et al. 2018, arXiv:1711.00043, section 2.3 (drop 0.1, permute 3).
    - Edunov et al. 2018, arXiv:1808.09381, section 3 (replace).

    Example:

    >>> from keras_s2s.config import Noise
    >>> Noise(drop=0.1, permute=3).changes_word_order
    True
    """

    drop: float = setting(0.0, low=0.0, below=1.0)
    permute: int = setting(0, low=0)
    replace: float = setting(0.0, low=0.0, below=1.0)

    @property
    def changes_word_order(self) -> bool:
        """Whether the position of a word changes, by moves or removals."""
        return bool(self.drop or self.permute)
