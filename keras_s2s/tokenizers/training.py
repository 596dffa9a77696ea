"""Vocabularies from text."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from keras_s2s.config import SpecialIds, TokenizerConfig, UserError
from keras_s2s.tokenizers.base import SPECIAL_PIECES, UNKNOWN, Tokenizer
from keras_s2s.tokenizers.subwords import SentencePiece
from keras_s2s.tokenizers.words import Characters, Whitespace

__all__ = ["train"]

_MOST_SENTENCES = 2_000_000  # SentencePiece holds its sentences in memory: more are sampled
_LONGEST_SENTENCE = 1 << 16  # bytes; it leaves longer ones out
_TOO_SMALL = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")
_NO_TEXT = "expected text to train a vocabulary on, came no line with any"


def train(config: TokenizerConfig, lines: Iterable[str]) -> Tokenizer:
    """Makes a tokenizer for text like `lines`.

    Characters and white-space tokens are ordered by falling frequency, then by code points, and
    `config.size`, which counts the four special ids too, cuts off the rest. SentencePiece takes
    every character of the text into its vocabulary and may find fewer pieces than `size`.
    The same lines give the same vocabulary.

    Args:
        config: kind, model and size.
        lines: text, read once.

    Raises:
        UserError: no text, an unknown kind, or a size that cannot hold the text's characters.
            What `lines` itself raises passes through.
    """
    if config.kind == SentencePiece.kind:
        return SentencePiece(_train_model(config, lines))
    if config.kind == Characters.kind:
        return Characters(_most_frequent(map(_characters, lines), config.size))
    if config.kind == Whitespace.kind:
        return Whitespace(_most_frequent(map(_tokens, lines), config.size))
    kinds = ", ".join(kind.kind for kind in (SentencePiece, Characters, Whitespace))
    raise UserError(f"kind: expected one of {kinds}, came {config.kind!r}")


def _characters(line: str):
    return line.replace("\n", "")  # a vocabulary file has one piece a line


def _tokens(line: str):
    """The tokens that `Whitespace.pieces` finds: bytes split at ASCII white space alone."""
    return [token.decode() for token in line.encode().split()]


def _most_frequent(rows, size) -> list[str]:
    counts = Counter()
    for row in rows:
        counts.update(row)
    counts.pop(UNKNOWN, None)  # text that came with unknowns in it keeps them as such
    if not counts:
        raise UserError(_NO_TEXT)
    ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return ordered if size is None else ordered[: max(size - len(SPECIAL_PIECES), 0)]


class _Sentences:
    """Hands lines to SentencePiece, which would turn an error of theirs into its own."""

    def __init__(self, lines):
        self.lines = lines
        self.error = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self.lines
        except Exception as error:
            self.error = error


def _train_model(config, lines) -> bytes:
    import sentencepiece

    special = SpecialIds()
    sentences, model = _Sentences(lines), io.BytesIO()
    sentencepiece.set_random_generator_seed(1)  # the sample of a corpus beyond _MOST_SENTENCES
    failure = None
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=config.model,
            vocab_size=config.size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            input_sentence_size=_MOST_SENTENCES,
            max_sentence_length=_LONGEST_SENTENCE,
            pad_id=special.pad,
            unk_id=special.unknown,
            bos_id=special.start,
            eos_id=special.end,
            num_threads=1,  # more make its sums, and so the pieces, vary
            minloglevel=2,
        )
    except RuntimeError as error:
        failure = error
    if sentences.error or failure:
        raise sentences.error or _complaint(config, str(failure)) from None
    return model.getvalue()


def _complaint(config, message) -> UserError:
    """SentencePiece's error as one of ours."""
    needed = _TOO_SMALL.search(message)
    if needed:
        return UserError(
            f"size: expected at least {needed[1]}, which the text's characters need,"
            f" came {config.size}"
        )
    if "!sentences_.empty()" in message:
        return UserError(_NO_TEXT)
    return UserError(f"{config.model}: SentencePiece could not be trained: {message.strip()}")
