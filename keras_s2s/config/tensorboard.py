"""The section `training.tensorboard`."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["TensorBoard"]

ATTENTION_KINDS = ("cross", "self", "encoder")


@dataclass(frozen=True)
class TensorBoard(Section):
    """What TensorBoard shows in addition to the curves. `attention: 0` turns all of it off.

    The tab HParams and the graph are written whenever `attention` is positive.

    Args:
        attention: number of validation pairs whose attention is recorded for the tab Attention.
        every: validations between two recordings.
        images: whether to draw heat maps of the attention over the source (at most 64 heads, at
            least those of one pair), or a list of attention kinds to draw: `cross`, `self`,
            `encoder`.
        projector: whether to write the embeddings with their tokens for the projector.
        alignments: a file of reference alignments, one line per pair (`0-0 1-2`, source first,
            token positions from 0), which adds a curve of every head's alignment error.
    """

    attention: int = setting(0, low=0, high=100)
    every: int = setting(1, low=1)
    images: bool | list = True
    projector: bool = True
    alignments: str | None = setting(None, is_path=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        images = self.images
        if isinstance(images, list) and not all(kind in ATTENTION_KINDS for kind in images):
            expected = f"true, false or a list of {', '.join(ATTENTION_KINDS)}"
            self.fail("images", f"expected {expected}, got {images!r}")
        if self.alignments is not None and not self.attention:
            self.fail("alignments", "expected attention above 0 beside it, got 0")
