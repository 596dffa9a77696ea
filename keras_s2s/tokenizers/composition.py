"""Training of composed tokenizers: each part on its column of the text."""

from collections.abc import Callable, Iterable, Iterator

from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers.base import Tokenizer
from keras_s2s.tokenizers.factors import Factors
from keras_s2s.tokenizers.multi_source import Sources

__all__ = ["COMPOSITE_KINDS", "train_composite"]

COMPOSITE_KINDS = (Factors.kind, Sources.kind)


def train_composite(
    config: TokenizerConfig,
    lines: Iterable[str],
    train: Callable[[TokenizerConfig, Iterable[str]], Tokenizer],
) -> Tokenizer:
    """Trains the parts of a composed tokenizer, and composes them.

    Args:
        config: The configuration, with its parts.
        lines: Text, read once and held in memory.
        train: Trains a part, from its configuration and lines.

    Raises:
        UserError: A line has another number of sources, or `train` fails for a part.
    """
    lines = list(lines)
    if config.kind == Factors.kind:
        parts = [
            _train_part(number, part, _factors(lines, config.separator, number), train)
            for number, part in enumerate(config.parts)
        ]
        return _compose(Factors, parts, config.separator)
    count = config.count or len(config.parts)
    rows = list(_split_sources(lines, config.separator, count))
    if len(config.parts) == 1:
        columns = [[text for row in rows for text in row]]
    else:
        columns = [[row[number] for row in rows] for number in range(len(config.parts))]
    parts = [
        _train_part(number, part, columns[number], train)
        for number, part in enumerate(config.parts)
    ]
    return _compose(Sources, parts, config.separator, count)


def _factors(lines, separator, number) -> Iterator[str]:
    """Factor `number` of the white-space tokens of each line that have it."""
    for line in lines:
        tokens = [token.decode().split(separator) for token in line.encode().split()]
        yield " ".join(token[number] for token in tokens if len(token) > number)


def _split_sources(lines, separator, count) -> Iterator[list[str]]:
    for number, line in enumerate(lines, 1):
        row = line.split(separator)
        if len(row) != count:
            expected = f"expected {count} parts separated by {separator!r}"
            raise UserError(f"source line {number}: {expected}, got {len(row)}")
        yield row


def _train_part(number, config, lines, train):
    try:
        return train(config, lines)
    except UserError as error:
        raise UserError(f"parts.{number}: {error}") from None


def _compose(tokenizer_class, *arguments):
    try:
        return tokenizer_class(*arguments)
    except ValueError as error:
        raise UserError(str(error)) from None
