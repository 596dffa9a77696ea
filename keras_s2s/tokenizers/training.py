"""Vocabularies from text."""

import re
from collections import Counter
from collections.abc import Iterable

from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import sentencepiece_model
from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, Tokenizer
from keras_s2s.tokenizers.byte import Bytes
from keras_s2s.tokenizers.composition import COMPOSITE_KINDS, train_composite
from keras_s2s.tokenizers.sentencepiece import SentencePiece
from keras_s2s.tokenizers.sentencepiece_training import NO_TEXT, train_sentencepiece
from keras_s2s.tokenizers.special_tokens import special_token_pattern
from keras_s2s.tokenizers.vocabulary_files import load_vocabulary
from keras_s2s.tokenizers.wordpiece import CONTINUATION, WordPiece
from keras_s2s.tokenizers.words import Characters, Whitespace

__all__ = ["train"]


def train(config: TokenizerConfig, lines: Iterable[str]) -> Tokenizer:
    """Makes a tokenizer for text like `lines`, or takes that of `config.file`.

    Characters and white-space tokens are ordered by falling frequency, then by code points, and
    `config.size`, which counts the special ids and tokens too, cuts off the rest. SentencePiece
    and WordPiece take every character of the text into their vocabularies (SentencePiece: of the
    part that `train_sentencepiece` takes of a large one) and may find fewer pieces than `size`. WordPiece learns
    as Hugging Face's trainer does, by merging pairs (Sennrich et al. 2016, arXiv 1508.07909).
    Special tokens have the first ids after the special ones. Factors and several sources train
    each part on its column of the text. The same lines give the same
    vocabulary.

    Args:
        config: kind, model, size, file, special tokens and sampling.
        lines: text, read once; not at all where there is a file, or nothing to learn.

    Raises:
        UserError: no text, a damaged file, or a size that cannot hold the text's characters.
            What `lines` itself raises passes through.
    """
    if config.kind in COMPOSITE_KINDS:
        return train_composite(config, lines, train)
    if config.file is not None:
        return load_vocabulary(config)
    special = config.special_tokens
    if config.kind == Bytes.kind:
        return _checked(Bytes, special)
    if config.kind == SentencePiece.kind:
        _refuse_marks(special)
        options = {"user_defined_symbols": special} if special else {}
        model = train_sentencepiece(config.model, config.size, lines, **options)
        return SentencePiece(model, special, config.sampling)
    if config.kind == WordPiece.kind:
        return _checked(WordPiece, _word_pieces(lines, config), special)
    kind, units = _COUNTED[config.kind]
    return kind(_most_frequent(map(units, _between(special, lines)), config), special)


def _checked(kind, *arguments):
    try:
        return kind(*arguments)
    except ValueError as error:
        raise UserError(str(error)) from None


def _refuse_marks(special):
    for token in special:
        if sentencepiece_model.SPACE in token:
            raise UserError(
                f"special_tokens: expected none with {sentencepiece_model.SPACE}, came {token!r}"
            )


def _between(special, lines):
    """The parts of lines that are not special tokens."""
    if not special:
        return lines
    found = re.compile(special_token_pattern(special))
    return (part for line in lines for part in found.split(line))


def _characters(line: str):
    return line.replace("\n", "")  # a vocabulary file has one piece a line


def _tokens(line: str):
    """The tokens that `Whitespace.cut` finds: bytes split at ASCII white space alone."""
    return [token.decode() for token in line.encode().split()]


_COUNTED = {Characters.kind: (Characters, _characters), Whitespace.kind: (Whitespace, _tokens)}


def _most_frequent(rows, config) -> list[str]:
    counts = Counter()
    for row in rows:
        counts.update(row)
    counts.pop(UNKNOWN, None)  # text that came with unknowns in it keeps them as such
    if not counts:
        raise UserError(NO_TEXT)
    ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return [*config.special_tokens, *ordered[: _room(config, 0)]]


def _room(config, taken: int) -> int | None:
    """How many pieces fit beside the special ids, the special tokens and `taken` others."""
    if config.size is None:
        return None
    needed = len(RESERVED_TOKENS) + len(config.special_tokens) + taken
    if config.size < needed:
        what = "characters" if taken else "special tokens"
        raise UserError(f"size: expected at least {needed} for the {what}, came {config.size}")
    return config.size - needed


def _word_pieces(lines, config) -> list[str]:
    """Pieces of words: first what merging pairs found, in its order, then every character."""
    alphabet = set()

    def words():
        for line in _between(config.special_tokens, lines):
            tokens = _tokens(line)
            for token in tokens:
                alphabet.add(token[0])
                alphabet.update(CONTINUATION + character for character in token[1:])
            yield " ".join(tokens)

    try:
        model = train_sentencepiece("bpe", config.size, words(), normalization_rule_name="identity")
    except UserError:
        _room(config, len(alphabet))  # it knows of one place for a character, we need two
        raise
    merged = _as_word_pieces(
        sentencepiece_model.vocabulary(sentencepiece_model.parse_model(model)), alphabet
    )
    return [*config.special_tokens, *merged[: _room(config, len(alphabet))], *sorted(alphabet)]


def _as_word_pieces(pieces, alphabet) -> list[str]:
    """SentencePiece marks the beginning of a word, WordPiece the rest of it."""
    made = []
    for piece in pieces:
        begins = piece.startswith(sentencepiece_model.SPACE)
        text = piece[1:] if begins else CONTINUATION + piece
        # a word that begins with ## would read as the rest of another
        if text and text not in alphabet and not (begins and text.startswith(CONTINUATION)):
            made.append(text)
    return made
