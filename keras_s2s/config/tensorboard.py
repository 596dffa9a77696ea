"""The section about what TensorBoard shows beside the curves."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["TensorBoard"]

KINDS = ("cross", "self", "encoder")  # of attention


@dataclass(frozen=True)
class TensorBoard(Section):
    """What TensorBoard shows beside the curves; all of it is off with `attention` 0.

    `attention` is how many pairs, the first of the validation corpus, are looked at every `every`
    validations: a record of all heads for the tab Attention, and `images` of those that look at
    the source (at most 64 heads, of one pair at least); a list of `cross`, `self` and `encoder`
    says of which kinds. `projector` writes the embeddings with
    their tokens. `alignments` is a file of reference alignments (`0-0 1-2`, source first, places
    of tokens from 0), a line for each pair: every head's alignment error is a curve then. The tab
    HParams and the graph come with these.
    """

    attention: int = setting(0, low=0, high=100)
    every: int = setting(1, low=1)
    images: bool | list = True
    projector: bool = True
    alignments: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.images, list) and not all(kind in KINDS for kind in self.images):
            expected = f"true, false or a list of {', '.join(KINDS)}"
            self.fail("images", f"expected {expected}, came {self.images!r}")
        if self.alignments is not None and not self.attention:
            self.fail("alignments", "expected attention above 0 beside it, came 0")
