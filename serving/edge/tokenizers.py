"""Tokenizers of LiteRT files without a SentencePiece model, and the choice by kind."""

from collections.abc import Iterable, Iterator
from typing import Any

from keras_s2s.serving.edge.sentencepiece_tokenizers import Marian, SentencePiece
from keras_s2s.serving.edge.tokenizer import Tokenizer, strip_ascii

__all__ = ["Bytes", "Characters", "Whitespace", "WordPiece", "make_tokenizer"]

_CONTINUATION = "##"
_BYTE_NAMES = [chr(b) if 0x20 <= b < 0x7F else f"<0x{b:02X}>" for b in range(256)]


class Characters(Tokenizer):
    """Unicode code points."""

    def split_text(self, text: str) -> list[str]:
        return list(text)

    def detokenize(self, pieces: Iterable[str]) -> str:
        return "".join(pieces)

    def is_word_start(self, piece: str) -> bool:
        return piece == " "


class Whitespace(Tokenizer):
    """Words separated by ASCII white space."""

    def split_text(self, text: str) -> list[str]:
        return [word.decode() for word in text.encode().split()]

    def detokenize(self, pieces: Iterable[str]) -> str:
        return strip_ascii("".join(f" {piece}" for piece in pieces if piece))


class Bytes(Tokenizer):
    """Bytes of UTF-8."""

    def _setup(self, description: dict[str, Any], model: bytes | None) -> None:
        self._content = {name: bytes([byte]) for byte, name in enumerate(_BYTE_NAMES)}
        self._content |= {token: token.encode() for token in self.special_tokens}

    def split_text(self, text: str) -> list[str]:
        return [_BYTE_NAMES[byte] for byte in text.encode()]

    def detokenize(self, pieces: Iterable[str]) -> str:
        content = b"".join(self._content.get(piece, piece.encode()) for piece in pieces)
        return content.decode("utf-8", "replace")

    def is_word_start(self, piece: str) -> bool:
        return piece == " "


class WordPiece(Whitespace):
    """Subwords of words, the longest match first from the left."""

    def _setup(self, description: dict[str, Any], model: bytes | None) -> None:
        self._subwords = self.numbers.keys() - set(self.special_tokens)
        self._max_length = max(map(len, self._subwords), default=1)

    def split_text(self, text: str) -> list[str]:
        return [piece for word in super().split_text(text) for piece in self._cut_word(word)]

    def _cut_word(self, word: str) -> Iterator[str]:
        start, prefix = 0, ""
        while start < len(word):
            stop = min(len(word), start + self._max_length)
            while stop > start + 1 and prefix + word[start:stop] not in self._subwords:
                stop -= 1
            yield prefix + word[start:stop]
            start, prefix = stop, _CONTINUATION

    def detokenize(self, pieces: Iterable[str]) -> str:
        joined = "".join(f" {piece}" for piece in pieces if piece)
        return strip_ascii(joined.replace(f" {_CONTINUATION}", ""))

    def is_word_start(self, piece: str) -> bool:
        return not piece.startswith(_CONTINUATION)


KINDS: dict[str, type[Tokenizer]] = {
    "bytes": Bytes,
    "characters": Characters,
    "marian": Marian,
    "sentencepiece": SentencePiece,
    "whitespace": Whitespace,
    "wordpiece": WordPiece,
    "words": Whitespace,
}


def make_tokenizer(
    description: dict[str, Any], vocabulary: list[str], model: bytes | None = None
) -> Tokenizer:
    """Returns the tokenizer that a file describes.

    Args:
        description, vocabulary, model: as for `Tokenizer`.

    Raises:
        ValueError: if the kind is unknown.
        ImportError: if the package sentencepiece is needed and missing.
    """
    kind = description["kind"]
    if kind not in KINDS:
        raise ValueError(f"tokenizer: expected one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](description, vocabulary, model)
