"""The section `sampling` of a tokenizer: subword regularization."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["SubwordSampling"]

MAX_NBEST = 512


@dataclass(frozen=True)
class SubwordSampling(Section):
    """Subword regularization: a training text is segmented anew each time it is read.

    Sampling makes more tokens: on Multi30k (8,000 entries) alpha 0.1 gives twice as many as no
    sampling, dropout 0.1 a third more.

    Args:
        alpha: of a unigram model, the exponent of a segmentation's probability; 0 makes all
            segmentations equally likely.
        nbest: of a unigram model, the number of likeliest segmentations to draw from; -1 for all.
        dropout: of a BPE model, the probability of leaving out a merge.

    Reference:

    - Kudo 2018, arXiv:1804.10959 (alpha, nbest).
    - Provilkov et al. 2020, arXiv:1910.13267 (dropout).

    Example:

    >>> from keras_s2s.config import SubwordSampling
    >>> SubwordSampling(alpha=0.1).nbest
    -1
    """

    alpha: float | None = setting(None, low=0.0)
    nbest: int = setting(-1, low=-1)
    dropout: float | None = setting(None, above=0.0, below=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.alpha is None) == (self.dropout is None):
            number = "both" if self.alpha is not None else "neither"
            self.fail("", f"expected alpha (unigram) or dropout (bpe), got {number}")
        if self.nbest in (0, 1) or self.nbest > MAX_NBEST:
            expected = f"expected -1 or an integer from 2 to {MAX_NBEST}"
            self.fail("nbest", f"{expected}, got {self.nbest}")
