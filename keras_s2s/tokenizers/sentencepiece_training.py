"""Training of SentencePiece models, by the sentencepiece package."""

import io
import re
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from keras_s2s.config import SpecialIds
from keras_s2s.errors import UserError

__all__ = ["NO_TEXT", "train_sentencepiece"]

NO_TEXT = "expected text to train a vocabulary on, got only empty lines or none"
_MAX_CHARACTERS = 20_000_000  # SentencePiece needs about 20 bytes of memory for each
_MAX_LINE_BYTES = 1 << 16  # SentencePiece skips longer lines
_TOO_SMALL = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_sentencepiece(model: str, size: int, lines: Iterable[str], **options: Any) -> bytes:
    """Trains a SentencePiece model.

    Of more than 20 million characters, a random part of at least 10 million is used.

    Args:
        model: `"unigram"` or `"bpe"`.
        size: Most pieces, the reserved ones included.
        lines: Text, read once.
        **options: Options of the package's trainer.

    Returns:
        The serialized model.

    Raises:
        UserError: There is no text, or the size cannot hold the characters of the text. An error
            that `lines` raises is passed on.
    """
    import sentencepiece

    special = SpecialIds()
    sentences, content = _Sentences(lines), io.BytesIO()
    sentencepiece.set_random_generator_seed(1)
    failure = None
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=content,
            model_type=model,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentence_length=_MAX_LINE_BYTES,
            pad_id=special.pad,
            unk_id=special.unknown,
            bos_id=special.start,
            eos_id=special.end,
            num_threads=1,  # with more, the order of sums and therefore the pieces vary
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        failure = error
    if sentences.error or failure:
        raise sentences.error or _user_error(model, size, str(failure)) from None
    return content.getvalue()


class _Sentences:
    """Iterator of lines that keeps their error, which SentencePiece would replace by its own."""

    def __init__(self, lines):
        self.lines = lines
        self.error = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from _subsample(self.lines, _MAX_CHARACTERS)
        except Exception as error:
            self.error = error


def _subsample(lines, max_characters):
    """All lines, in order, or a random part of them with at most `max_characters`."""
    random, share = Random(1), 1.0
    kept, size = [], 0
    for line in lines:
        if share == 1.0 or random.random() < share:
            kept.append(line)
            size += len(line)
        while size > max_characters and kept:
            share /= 2
            kept = [line for line in kept if random.random() < 0.5]
            size = sum(map(len, kept))
    return kept


def _user_error(model, size, message) -> UserError:
    """An error of SentencePiece as a `UserError`."""
    required = _TOO_SMALL.search(message)
    if required:
        return UserError(
            f"size: expected at least {required[1]}, which the text's characters need, got {size}"
        )
    if "!sentences_.empty()" in message:
        return UserError(NO_TEXT)
    return UserError(f"{model}: SentencePiece could not be trained: {message.strip()}")
