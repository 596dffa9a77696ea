"""Tokenizers of LiteRT files that use the package sentencepiece."""

import re
from collections.abc import Iterable
from typing import Any

from keras_s2s.serving.edge.tokenizer import SPECIAL, UNKNOWN, Tokenizer, strip_ascii

__all__ = ["Marian", "SentencePiece"]

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_UNKNOWN_SURFACE = " \N{DOUBLE QUESTION MARK} "
_BYTES = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}


class SentencePiece(Tokenizer):
    """Subwords of a SentencePiece model."""

    def _setup(self, description: dict[str, Any], model: bytes | None) -> None:
        from sentencepiece import SentencePieceProcessor

        self._processor = SentencePieceProcessor(model_proto=model)
        self._leading_spaces = description.get("leading_spaces") or ""
        self._has_bytes = self.numbers.keys() >= _BYTES.keys()

    def tokenize(self, text: str | bytes) -> list[str]:
        # Not decoded before: an invalid byte is an unknown piece, whereas the model's
        # normalization may map U+FFFD to a space.
        return self._processor.encode(text, out_type=str)

    def detokenize(self, pieces: Iterable[str]) -> str:
        content = b"".join(map(self._surface, pieces))
        text = content.decode("utf-8", "replace" if self._has_bytes else "strict")
        if self._leading_spaces:
            text = re.sub(self._leading_spaces, "", text, count=1)
        return text.replace(_SPACE, " ")

    def _surface(self, piece: str) -> bytes:
        if self._has_bytes and piece in _BYTES:
            return _BYTES[piece]
        if piece in self.vocabulary[:SPECIAL]:
            return _UNKNOWN_SURFACE.encode() if piece == UNKNOWN else b""
        return piece.encode()

    def is_word_start(self, piece: str) -> bool:
        return piece.startswith(_SPACE) or piece in self.special_tokens


class Marian(SentencePiece):
    """SentencePiece subwords with Marian's ids and a language tag before the text."""

    def tokenize(self, text: str | bytes) -> list[str]:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        tag = re.match(">>[^\udc80-\udcff]*?<<", text)  # a tag contains no invalid byte
        start = tag.end() if tag else 0
        pieces = super().tokenize(text[start:].encode("utf-8", "surrogateescape"))
        return [tag[0], *pieces] if tag else pieces

    def detokenize(self, pieces: Iterable[str]) -> str:
        return strip_ascii(super().detokenize([p for p in pieces if p != UNKNOWN]))
