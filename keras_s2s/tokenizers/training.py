"""Training of tokenizers: vocabularies from text."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

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
    """Trains a tokenizer on lines of text, or loads the vocabulary of `config.file`.

    Characters and white-space tokens are ordered by descending frequency, then by code points.
    `config.size`, which counts the reserved ids and special tokens too, cuts off the rest.
    SentencePiece and WordPiece include every character of the text in their vocabularies
    (SentencePiece: of the part that `train_sentencepiece` uses of a large one) and may find fewer
    tokens than `size`. WordPiece is trained as by Hugging Face's trainer, by merging pairs
    (Sennrich et al. 2016, arXiv 1508.07909). Special tokens have the first ids after the reserved
    ones. Factors and several sources train each part on its column of the text. The same lines
    give the same vocabulary.

    Args:
        config: Kind, model, size, file, special tokens and sampling.
        lines: Text, read once. It is not read where there is a file or nothing to train.

    Raises:
        UserError: There is no text, a file is damaged, or the size cannot hold the characters of
            the text. An error that `lines` raises is passed on.

    Example:

    >>> from keras_s2s import tokenizers
    >>> from keras_s2s.config import TokenizerConfig
    >>> config = TokenizerConfig(kind="whitespace", size=None)
    >>> tokenizers.train(config, ["b a b"]).vocabulary
    ('<pad>', '<unk>', '<s>', '</s>', 'b', 'a')
    """
    if config.kind in COMPOSITE_KINDS:
        return train_composite(config, lines, train)
    if config.file is not None:
        return load_vocabulary(config)
    special = config.special_tokens
    if config.kind == Bytes.kind:
        return _construct(Bytes, special)
    if config.kind == SentencePiece.kind:
        _check_no_space_symbol(special)
        options = {"user_defined_symbols": special} if special else {}
        model = train_sentencepiece(config.model, config.size, lines, **options)
        return SentencePiece(model, special, config.sampling)
    if config.kind == WordPiece.kind:
        return _construct(WordPiece, _wordpiece_vocabulary(lines, config), special)
    tokenizer_class, split = _COUNTED[config.kind]
    rows = map(split, _without_special_tokens(special, lines))
    return tokenizer_class(_most_frequent(rows, config), special)


def _construct(tokenizer_class, *arguments):
    try:
        return tokenizer_class(*arguments)
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_no_space_symbol(special):
    for token in special:
        if sentencepiece_model.SPACE in token:
            raise UserError(
                f"special_tokens: expected none with {sentencepiece_model.SPACE}, got {token!r}"
            )


def _without_special_tokens(special, lines):
    """The parts of lines between special tokens."""
    if not special:
        return lines
    pattern = re.compile(special_token_pattern(special))
    return (part for line in lines for part in pattern.split(line))


def _characters(line: str) -> str:
    return line.replace("\n", "")  # a vocabulary file has one token per line


def _tokens(line: str) -> list[str]:
    """The tokens of `Whitespace.split_text`: bytes split at ASCII white space alone."""
    return [token.decode() for token in line.encode().split()]


_COUNTED: dict[str, tuple[type, Callable]] = {
    Characters.kind: (Characters, _characters),
    Whitespace.kind: (Whitespace, _tokens),
}


def _most_frequent(rows, config) -> list[str]:
    counts = Counter()
    for row in rows:
        counts.update(row)
    counts.pop(UNKNOWN, None)  # a text that contains <unk> keeps it as the unknown token
    if not counts:
        raise UserError(NO_TEXT)
    ordered = sorted(counts, key=lambda token: (-counts[token], token))
    return [*config.special_tokens, *ordered[: _capacity(config, 0)]]


def _capacity(config, num_characters: int) -> int | None:
    """Number of tokens that fit beside the reserved ids, special tokens and characters."""
    if config.size is None:
        return None
    required = len(RESERVED_TOKENS) + len(config.special_tokens) + num_characters
    if config.size < required:
        kind = "characters" if num_characters else "special tokens"
        raise UserError(f"size: expected at least {required} for the {kind}, got {config.size}")
    return config.size - required


def _wordpiece_vocabulary(lines, config) -> list[str]:
    """Parts of words: the merged ones, in the order of the merges, then every character."""
    alphabet = set()

    def words():
        for line in _without_special_tokens(config.special_tokens, lines):
            tokens = _tokens(line)
            for token in tokens:
                alphabet.add(token[0])
                alphabet.update(CONTINUATION + character for character in token[1:])
            yield " ".join(tokens)

    try:
        model = train_sentencepiece("bpe", config.size, words(), normalization_rule_name="identity")
    except UserError:
        # SentencePiece counts a character once; WordPiece needs it with and without ##
        _capacity(config, len(alphabet))
        raise
    pieces = sentencepiece_model.vocabulary(sentencepiece_model.parse_model(model))
    merged = _to_wordpieces(pieces, alphabet)
    return [*config.special_tokens, *merged[: _capacity(config, len(alphabet))], *sorted(alphabet)]


def _to_wordpieces(pieces, alphabet) -> list[str]:
    """SentencePiece marks the start of a word; WordPiece marks the continuation."""
    tokens = []
    for piece in pieces:
        is_start = piece.startswith(sentencepiece_model.SPACE)
        token = piece[1:] if is_start else CONTINUATION + piece
        # a word that starts with ## would be read as the continuation of another
        if token and token not in alphabet and not (is_start and token.startswith(CONTINUATION)):
            tokens.append(token)
    return tokens
