"""Existing vocabularies: text files with one token per line, and SentencePiece models."""

import re
from collections.abc import Callable
from pathlib import Path

from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.io import (
    BYTE_ORDER_MARK,
    check_utf8,
    strip_byte_order_mark,
    strip_line_ending,
)
from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer
from keras_s2s.tokenizers.sentencepiece import SentencePiece
from keras_s2s.tokenizers.wordpiece import WordPiece
from keras_s2s.tokenizers.words import Characters, Whitespace, Words

__all__ = ["load_vocabulary"]

_LIST_KINDS = {cls.kind: cls for cls in (Characters, Whitespace, WordPiece, Words)}
_WITH_COUNT = re.compile(r"(.+)\t[-+.0-9eE]+")  # a count, or a score in SentencePiece's .vocab
_BERT_RESERVED = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]")
_OPENNMT_RESERVED = (b"<blank>", b"<s>", b"</s>")  # the first lines of a file of OpenNMT-tf
_OPENNMT_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # its symbol for a space


def load_vocabulary(config: TokenizerConfig) -> Tokenizer:
    """Returns the tokenizer of the vocabulary in `config.file`.

    Special tokens that the vocabulary lacks come after all others. The reserved tokens at the start
    of a file of OpenNMT-tf are left out.

    Args:
        config: Kind, file, special tokens and sampling.

    Raises:
        UserError: The file cannot be read or a line is invalid; the message names file and line.
    """
    path = Path(config.file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, got: {error.strerror}") from None
    try:
        if config.kind == SentencePiece.kind:
            return SentencePiece(content, config.special_tokens, config.sampling)
        vocabulary = _parse_vocabulary(path, content, config.kind)
        missing = [token for token in config.special_tokens if token not in set(vocabulary)]
        return _LIST_KINDS[config.kind]([*vocabulary, *missing], config.special_tokens)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _parse_vocabulary(path, content, kind) -> list[str]:
    line_numbers, check = {}, _CHECKS.get(kind, _word_problem)
    lines = content.removesuffix(b"\n").split(b"\n")
    is_opennmt = tuple(line.removesuffix(b"\r") for line in lines[:3]) == _OPENNMT_RESERVED
    for number, line in list(enumerate(lines, 1))[3 if is_opennmt else 0 :]:
        token = _parse_line(line, number, path)
        if is_opennmt and kind == Characters.kind:
            token = token.replace(_OPENNMT_SPACE, " ")
        if kind == WordPiece.kind and _BERT_RESERVED.fullmatch(token):
            continue
        problem = _token_problem(token, line_numbers, check)
        if problem:
            raise UserError(f"{path}:{number}: {problem}, got {token!r}")
        line_numbers[token] = number
    return list(line_numbers)


def _parse_line(line, number, path) -> str:
    check_utf8([line], path, number)
    if number == 1 and line != BYTE_ORDER_MARK:
        line = strip_byte_order_mark(line)
    text = (strip_line_ending(line) if line != b"\r" else line).decode()
    with_count = _WITH_COUNT.fullmatch(text)
    return with_count[1] if with_count else text


def _token_problem(token, line_numbers, check: Callable[[str], str]) -> str:
    """What is expected instead of an invalid token; "" for a valid one."""
    if token in RESERVED_TOKENS:
        names = ", ".join(RESERVED_TOKENS)
        return f"expected no line for {names}, which have the ids 0 to 3 anyway"
    if token in line_numbers:
        return f"expected a token once, the first is in line {line_numbers[token]}"
    return check(token)


def _word_problem(token):
    is_word = token.encode().split() == [token.encode()]
    return "" if is_word else "expected one word without white space"


def _character_problem(token):
    return "" if len(token) == 1 else "expected one character"


_CHECKS = {Characters.kind: _character_problem}
