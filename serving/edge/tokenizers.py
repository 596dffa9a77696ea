"""Tokenizers of a LiteRT file in plain Python: what those of `keras_s2s.tokenizers` do."""

import re

__all__ = ["END", "PAD", "START", "UNKNOWN", "UNKNOWN_ID", "make_tokenizer"]

PAD, UNKNOWN_ID, START, END = range(4)
UNKNOWN = "<unk>"
SPECIAL = 4  # ids that are no pieces
CONTINUED = "##"
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
APART = "\x1d\0\x1d"  # stands around special tokens; where a text holds it, it is no piece
UNKNOWN_SURFACE = " \N{DOUBLE QUESTION MARK} "
BYTES = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}
NAMES = [chr(b) if 0x20 <= b < 0x7F else name for b, name in enumerate(BYTES)]


class Tokenizer:
    """Text <-> pieces <-> ids.

    Args:
        described: `kind`, `special_tokens`, and what a kind needs besides.
        vocabulary: the strings of all ids, those of the special ones first.
        model: the content of a SentencePiece model.
    """

    def __init__(self, described, vocabulary, model=None):
        self.vocabulary = vocabulary
        self.numbers = {piece: i for i, piece in enumerate(vocabulary) if i >= SPECIAL}
        self.special_tokens = described.get("special_tokens", ())
        ordered = sorted(self.special_tokens, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, ordered))})")
        self._open(described, model)

    def _open(self, described, model):
        """What a kind needs besides."""

    def pieces(self, text):
        """A text, str or bytes of it -> the strings of its pieces."""
        text = _text(text)
        if not self.special_tokens:
            return self.split_text(text)
        parts = self._special.sub(rf"{APART}\1{APART}", text).split(APART)
        return [p for x in parts for p in ([x] if x in self.special_tokens else self.split_text(x))]

    def ids(self, pieces):
        """The ids of pieces; `unknown` for one that the vocabulary lacks."""
        return [self.numbers.get(piece, UNKNOWN_ID) for piece in pieces]

    def string(self, number):
        """The piece of an id, "" for pad, start and end."""
        if number in (PAD, START, END):
            return ""
        return self.vocabulary[number] if 0 <= number < len(self.vocabulary) else UNKNOWN

    def is_word_start(self, piece):
        """Whether a word begins with a piece."""
        return True


class Characters(Tokenizer):
    """Unicode code points."""

    def split_text(self, text):
        return list(text)

    def detokenize(self, pieces):
        return "".join(pieces)

    def is_word_start(self, piece):
        return piece == " "


class Whitespace(Tokenizer):
    """What stands between runs of ASCII white space."""

    def split_text(self, text):
        return [word.decode() for word in text.encode().split()]

    def detokenize(self, pieces):
        return _stripped("".join(f" {piece}" for piece in pieces if piece))


class Bytes(Tokenizer):
    """The bytes of UTF-8."""

    def _open(self, described, model):
        self._raw = {name: bytes([byte]) for byte, name in enumerate(NAMES)}
        self._raw |= {token: token.encode() for token in self.special_tokens}

    def split_text(self, text):
        return [NAMES[byte] for byte in text.encode()]

    def detokenize(self, pieces):
        return b"".join(self._raw.get(p, p.encode()) for p in pieces).decode("utf-8", "replace")

    def is_word_start(self, piece):
        return piece == " "


class WordPiece(Whitespace):
    """Words cut into the longest pieces from the left."""

    def _open(self, described, model):
        known = self.numbers.keys() - set(self.special_tokens)
        self._known = known
        self._longest = max(map(len, known), default=1)

    def split_text(self, text):
        return [piece for word in super().split_text(text) for piece in self._cut_word(word)]

    def _cut_word(self, word):
        start, mark = 0, ""
        while start < len(word):
            stop = min(len(word), start + self._longest)
            while stop > start + 1 and mark + word[start:stop] not in self._known:
                stop -= 1
            yield mark + word[start:stop]
            start, mark = stop, CONTINUED

    def detokenize(self, pieces):
        joined = "".join(f" {piece}" for piece in pieces if piece)
        return _stripped(joined.replace(f" {CONTINUED}", ""))

    def is_word_start(self, piece):
        return not piece.startswith(CONTINUED)


class SentencePiece(Tokenizer):
    """Subwords by a SentencePiece model, through the package `sentencepiece`."""

    def _open(self, described, model):
        from sentencepiece import SentencePieceProcessor

        self._processor = SentencePieceProcessor(model_proto=model)
        self._leading = described.get("leading_spaces") or ""
        self._has_bytes = self.numbers.keys() >= BYTES.keys()

    def pieces(self, text):
        # A broken byte is unknown to it, but U+FFFD may be a space to its normalisation.
        return self._processor.encode(text, out_type=str)

    def detokenize(self, pieces):
        text = b"".join(map(self._shown, pieces))
        text = text.decode("utf-8", "replace" if self._has_bytes else "strict")
        if self._leading:
            text = re.sub(self._leading, "", text, count=1)
        return text.replace(SPACE, " ")

    def _shown(self, piece):
        if self._has_bytes and piece in BYTES:
            return BYTES[piece]
        if piece in self.vocabulary[:SPECIAL]:
            return UNKNOWN_SURFACE.encode() if piece == UNKNOWN else b""
        return piece.encode()

    def is_word_start(self, piece):
        return piece.startswith(SPACE) or piece in self.special_tokens


class Marian(SentencePiece):
    """`SentencePiece` with another numbering, and a tag before the text."""

    def pieces(self, text):
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        tag = re.match(">>[^\udc80-\udcff]*?<<", text)  # a broken byte belongs to none
        start = tag.end() if tag else 0
        rest = super().pieces(text[start:].encode("utf-8", "surrogateescape"))
        return [tag[0], *rest] if tag else rest

    def detokenize(self, pieces):
        return _stripped(super().detokenize([p for p in pieces if p != UNKNOWN]))


KINDS = {
    "bytes": Bytes,
    "characters": Characters,
    "marian": Marian,
    "sentencepiece": SentencePiece,
    "whitespace": Whitespace,
    "wordpiece": WordPiece,
    "words": Whitespace,
}


def make_tokenizer(described, vocabulary, model=None) -> Tokenizer:
    """The tokenizer that a file describes; arguments as for `Tokenizer`.

    Raises:
        ValueError: a kind that there is not.
        ImportError: it needs the package sentencepiece.
    """
    kind = described["kind"]
    if kind not in KINDS:
        raise ValueError(f"tokenizer: expected one of {', '.join(KINDS)}, came {kind!r}")
    return KINDS[kind](described, vocabulary, model)


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _stripped(text):
    return text.strip(" \t\n\v\f\r")
