"""The section `model`: a preset and its changes, or the parts of a model."""

from dataclasses import dataclass, field

from keras_s2s.config.validation import Section, setting

__all__ = ["ModelConfig"]


@dataclass(frozen=True)
class ModelConfig(Section):
    """A preset and what differs from it, or the parts of a model.

    `models.resolve` checks the parts and fills in their defaults.

    Args:
        preset: name of a preset.
        dropout: dropout rate of every part that has one.
        embedding: width of the embeddings.
        source: of features, `norm` (whether each projected frame is normalized); of factors,
            `combine` (concat or sum) and `widths`.
        target: of features, `norm` and `first`, the input of the first step (`zeros`, or `source`
            for the last frame of the source).
        tie: which embeddings share their weights with the output layer.
        encoder, decoder, head: `kind` and the arguments of that class.

    Example:

    >>> from keras_s2s.config import ModelConfig
    >>> ModelConfig(preset="gru", dropout=0.3).dropout
    0.3
    """

    preset: str | None = None
    dropout: float | None = setting(None, low=0.0, below=1.0)
    embedding: int | None = setting(None, low=1)
    source: dict = field(default_factory=dict)
    target: dict = field(default_factory=dict)
    tie: bool | str | None = None
    encoder: dict = field(default_factory=dict)
    decoder: dict = field(default_factory=dict)
    head: dict = field(default_factory=dict)
