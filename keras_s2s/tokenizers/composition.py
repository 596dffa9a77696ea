"""Vocabularies of factors and of several sources: each part's from its column of the text."""

from collections.abc import Callable, Iterable

from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers.factors import Factors
from keras_s2s.tokenizers.multi_source import Sources

__all__ = ["COMPOSITE_KINDS", "train_composite"]

COMPOSITE_KINDS = (Factors.kind, Sources.kind)


def train_composite(config: TokenizerConfig, lines: Iterable[str], train: Callable):
    """The tokenizer of a kind that is made of parts.

    Args:
        config: with its parts.
        lines: text, read once and held.
        train: makes a part from its `TokenizerConfig` and lines.

    Raises:
        UserError: a line with another number of sources, or what `train` says of a part.
    """
    lines = list(lines)
    if config.kind == Factors.kind:
        parts = [
            _trained(number, part, _factors(lines, config.separator, number), train)
            for number, part in enumerate(config.parts)
        ]
        return _made(Factors, parts, config.separator)
    count = config.count or len(config.parts)
    rows = list(_rows(lines, config.separator, count))
    if len(config.parts) == 1:
        texts = [text for row in rows for text in row]
        return _made(Sources, [_trained(0, config.parts[0], texts, train)], config.separator, count)
    parts = [
        _trained(number, part, [row[number] for row in rows], train)
        for number, part in enumerate(config.parts)
    ]
    return _made(Sources, parts, config.separator, count)


def _factors(lines, separator, number):
    """The factor of each token of a line, set apart by spaces; what lacks it is left out."""
    for line in lines:
        tokens = [token.decode().split(separator) for token in line.encode().split()]
        yield " ".join(token[number] for token in tokens if len(token) > number)


def _rows(lines, separator, count):
    for number, line in enumerate(lines, 1):
        row = line.split(separator)
        if len(row) != count:
            expected = f"expected {count} parts set apart by {separator!r}"
            raise UserError(f"source line {number}: {expected}, came {len(row)}")
        yield row


def _trained(number, config, lines, train):
    try:
        return train(config, lines)
    except UserError as error:
        raise UserError(f"parts.{number}: {error}") from None


def _made(kind, *arguments):
    try:
        return kind(*arguments)
    except ValueError as error:
        raise UserError(str(error)) from None
