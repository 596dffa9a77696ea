"""Base class and special ids of the tokenizers in LiteRT files."""

import re
from collections.abc import Iterable
from typing import Any

from keras_s2s.signatures.arrays import decode_text

__all__ = ["END", "PAD", "SPECIAL", "START", "UNKNOWN", "UNKNOWN_ID", "Tokenizer", "strip_ascii"]

PAD, UNKNOWN_ID, START, END = range(4)
UNKNOWN = "<unk>"
SPECIAL = 4  # number of special ids, which precede those of the vocabulary

# Separates special tokens from other text. A text that contains it has no token for it.
_SEPARATOR = "\x1d\0\x1d"


class Tokenizer:
    """Conversion between text, tokens and ids, in plain Python.

    Subclasses implement `split_text` and `detokenize`. Results equal those of
    `keras_s2s.tokenizers`.

    Args:
        description: `kind`, `special_tokens` and settings of the kind.
        vocabulary: strings of all ids, those of the special ids first.
        model: content of a SentencePiece model, for the kinds that use one.
    """

    def __init__(
        self, description: dict[str, Any], vocabulary: list[str], model: bytes | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.numbers = {piece: i for i, piece in enumerate(vocabulary) if i >= SPECIAL}
        self.special_tokens = description.get("special_tokens", ())
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._setup(description, model)

    def _setup(self, description: dict[str, Any], model: bytes | None) -> None:
        """Prepares what a kind needs in addition."""

    def split_text(self, text: str) -> list[str]:
        """Splits a text without special tokens into pieces."""
        raise NotImplementedError

    def detokenize(self, pieces: Iterable[str]) -> str:
        """Joins pieces to a text."""
        raise NotImplementedError

    def tokenize(self, text: str | bytes) -> list[str]:
        """Splits a text into the strings of its tokens; invalid UTF-8 becomes U+FFFD."""
        text = decode_text(text)
        if not self.special_tokens:
            return self.split_text(text)
        pieces: list[str] = []
        for part in self._special.sub(rf"{_SEPARATOR}\1{_SEPARATOR}", text).split(_SEPARATOR):
            pieces += [part] if part in self.special_tokens else self.split_text(part)
        return pieces

    def ids(self, pieces: Iterable[str]) -> list[int]:
        """Returns the ids of pieces; `UNKNOWN_ID` for one that is not in the vocabulary."""
        return [self.numbers.get(piece, UNKNOWN_ID) for piece in pieces]

    def string(self, number: int) -> str:
        """Returns the piece of an id; "" for pad, start and end."""
        if number in (PAD, START, END):
            return ""
        return self.vocabulary[number] if 0 <= number < len(self.vocabulary) else UNKNOWN

    def is_word_start(self, piece: str) -> bool:
        """Returns whether a piece starts a word."""
        return True


def strip_ascii(text: str) -> str:
    """Strips ASCII white space from both ends."""
    return text.strip(" \t\n\v\f\r")
