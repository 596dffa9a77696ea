"""SentencePiece models from text, by the sentencepiece package."""

import io
import re
from collections.abc import Iterable, Iterator
from random import Random

from keras_s2s.config import SpecialIds
from keras_s2s.errors import UserError

__all__ = ["NO_TEXT", "train_sentencepiece"]

NO_TEXT = "expected text to train a vocabulary on, came no line with any"
_MOST_TEXT = 20_000_000  # characters; SentencePiece needs some 20 bytes of memory for each
_LONGEST_SENTENCE = 1 << 16  # bytes; it leaves longer ones out
_TOO_SMALL = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")


def train_sentencepiece(model: str, size: int, lines: Iterable[str], **options) -> bytes:
    """The serialised model, unigram or bpe, of at most `size` pieces that fits `lines`.

    Of more than 20 million characters it is learned from a random part, 10 million at least.

    Args:
        model: unigram or bpe.
        size: most pieces, the special ones included.
        lines: text, read once.
        options: of the package's trainer.

    Raises:
        UserError: no text, or a size that cannot hold the text's characters. What `lines` itself
            raises passes through.
    """
    import sentencepiece

    special = SpecialIds()
    sentences, written = _Sentences(lines), io.BytesIO()
    sentencepiece.set_random_generator_seed(1)
    failure = None
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=written,
            model_type=model,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentence_length=_LONGEST_SENTENCE,
            pad_id=special.pad,
            unk_id=special.unknown,
            bos_id=special.start,
            eos_id=special.end,
            num_threads=1,  # more make its sums, and so the pieces, vary
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        failure = error
    if sentences.error or failure:
        raise sentences.error or _complaint(model, size, str(failure)) from None
    return written.getvalue()


class _Sentences:
    """Hands lines to SentencePiece, which would turn an error of theirs into its own."""

    def __init__(self, lines):
        self.lines = lines
        self.error = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from _thinned(self.lines, _MOST_TEXT)
        except Exception as error:
            self.error = error


def _thinned(lines, most):
    """All lines, in order, or a random part of them that has `most` characters at most."""
    random, share = Random(1), 1.0
    kept, size = [], 0
    for line in lines:
        if share == 1.0 or random.random() < share:
            kept.append(line)
            size += len(line)
        while size > most and kept:
            share /= 2
            kept = [line for line in kept if random.random() < 0.5]
            size = sum(map(len, kept))
    return kept


def _complaint(model, size, message) -> UserError:
    """SentencePiece's error as one of ours."""
    needed = _TOO_SMALL.search(message)
    if needed:
        return UserError(
            f"size: expected at least {needed[1]}, which the text's characters need, came {size}"
        )
    if "!sentences_.empty()" in message:
        return UserError(NO_TEXT)
    return UserError(f"{model}: SentencePiece could not be trained: {message.strip()}")
