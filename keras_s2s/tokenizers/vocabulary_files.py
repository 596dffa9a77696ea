"""Vocabularies that are there already: a file of one piece a line, or a SentencePiece model."""

import re
from collections.abc import Callable
from pathlib import Path

from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer
from keras_s2s.tokenizers.sentencepiece import SentencePiece
from keras_s2s.tokenizers.wordpiece import WordPiece
from keras_s2s.tokenizers.words import Characters, Whitespace, Words

__all__ = ["load_vocabulary"]

_LISTED = {kind.kind: kind for kind in (Characters, Whitespace, WordPiece, Words)}
_COUNTED = re.compile(r"(.+)\t[-+.0-9eE]+")  # of a piece; SentencePiece's .vocab has its score
_BERT = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]")  # ids that no text gives
_OPENNMT = (b"<blank>", b"<s>", b"</s>")  # the first lines of a file of OpenNMT-tf
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # its character for a space
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # what editors put at the start of a file


def load_vocabulary(config: TokenizerConfig) -> Tokenizer:
    """The tokenizer of the vocabulary `config.file`.

    Args:
        config: kind, file, special tokens and sampling. Special tokens that the vocabulary lacks
            come after all others. A file of OpenNMT-tf begins with its own, which are left out.

    Raises:
        UserError: naming the file, and the line where one is wrong.
    """
    path = Path(config.file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, came: {error.strerror}") from None
    try:
        if config.kind == SentencePiece.kind:
            return SentencePiece(content, config.special_tokens, config.sampling)
        vocabulary = _listed(path, content, config.kind)
        missing = [token for token in config.special_tokens if token not in set(vocabulary)]
        return _LISTED[config.kind]([*vocabulary, *missing], config.special_tokens)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _listed(path, content, kind) -> list[str]:
    places, check = {}, _CHECKS.get(kind, _word)
    lines = content.removesuffix(b"\n").split(b"\n")
    theirs = tuple(line.removesuffix(b"\r") for line in lines[:3]) == _OPENNMT
    for number, line in list(enumerate(lines, 1))[3 if theirs else 0 :]:
        piece = _piece(line, number, f"{path}:{number}")
        if theirs and kind == Characters.kind:
            piece = piece.replace(_SPACE, " ")
        if kind == WordPiece.kind and _BERT.fullmatch(piece):
            continue
        problem = _problem(piece, places, check)
        if problem:
            raise UserError(f"{path}:{number}: {problem}, came {piece!r}")
        places[piece] = number
    return list(places)


def _piece(line, number, place) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        came = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        raise UserError(f"{place}: expected UTF-8, came {came}") from None
    text = text.removeprefix(_MARK) if number == 1 and text != _MARK else text
    text = text.removesuffix("\r") if text != "\r" else text
    counted = _COUNTED.fullmatch(text)
    return counted[1] if counted else text


def _problem(piece, places, check: Callable) -> str:
    """What is wrong with a piece, or ""."""
    if piece in RESERVED_TOKENS:
        names = ", ".join(RESERVED_TOKENS)
        return f"expected no line for {names}, which have the ids 0 to 3 anyway"
    if piece in places:
        return f"expected a piece once, the first is in line {places[piece]}"
    return check(piece)


def _word(piece):
    whole = piece.encode().split() == [piece.encode()]
    return "" if whole else "expected one word without white space"


def _character(piece):
    return "" if len(piece) == 1 else "expected one character"


_CHECKS = {Characters.kind: _character}
