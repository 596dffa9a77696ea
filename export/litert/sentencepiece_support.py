"""Check that tf.text's SentencePiece kernels can replace a translator's tokenizers.

The kernels read only a part of a SentencePiece model. Its type, some settings and the pieces of
unusual types are ignored, or make the kernels read invalid memory.
"""

import importlib.util
from collections.abc import Collection, Iterator, Sequence

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.export.litert.default_search import has_plain_search
from keras_s2s.export.litert.sentencepiece_kernels import FIRST, SPACE, KernelTokenizer
from keras_s2s.export.litert.string_signature import ODD_TEXTS
from keras_s2s.tokenizers import RESERVED_TOKENS, SentencePiece, sentencepiece_model
from keras_s2s.translator import Translator

__all__ = ["require"]

# Characters that a normalization may change; the other planes hold ideographs only.
CODES = (range(1, 0xD800), range(0xE000, 0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE0200))
TEMPLATES = ("a{0} {0}", "{0}a{0}b")
BATCH_SIZE = 8192


def require(translator: Translator) -> None:
    """Checks that tf.text's operations can tokenize and detokenize a translator's texts.

    Args:
        translator: the translator to export.

    Raises:
        UserError: naming the property that the operations do not support.
    """
    if importlib.util.find_spec("tensorflow_text") is None:
        raise _unsupported("the package tensorflow-text", "none")
    if translator.model.supports_copy:
        raise _unsupported("a model that does not copy", "one that does")
    if not has_plain_search(translator):
        raise _unsupported("default options of a plain search", "others in the run's decoding")
    for side in ("source", "target"):
        tokenizer = getattr(translator, f"{side}_tokenizer")
        if tokenizer.kind != SentencePiece.kind:
            raise _unsupported(f"a {side} of kind {SentencePiece.kind}", tokenizer.kind)
        if tokenizer.special_tokens:
            tokens = ", ".join(tokenizer.special_tokens)
            raise _unsupported(f"a {side} without special tokens", tokens)
        for expected, actual in _find_problems(tokenizer):
            raise _unsupported(f"a {side} model {expected}", actual)
    text = _find_difference(translator.source_tokenizer)
    if text is not None:
        raise _unsupported(
            "a source model by which tf.text's kernel cuts as SentencePiece does",
            f"one by which it cuts {text!r} otherwise",
        )


def _unsupported(expected: str, actual: str) -> UserError:
    return UserError(f"text_operations: expected {expected}, got {actual}")


def _find_problems(tokenizer: SentencePiece) -> Iterator[tuple[str, str]]:
    """(expected, actual) for each unsupported property of a SentencePiece model."""
    proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
    model_type, normalizer = sentencepiece_model.model_type(proto), proto.normalizer_spec
    if model_type != "unigram":
        yield "of type unigram", model_type
    types = type(proto).SentencePiece.Type
    supported = {types.Value(name) for name in ("NORMAL", "UNKNOWN", "CONTROL")}
    for piece in proto.pieces:
        if piece.type not in supported:
            yield "of normal pieces alone", f"{types.Name(piece.type).lower()} {piece.piece!r}"
    if not normalizer.precompiled_charsmap:
        yield "that normalises texts", f"the rule {normalizer.name or 'of none'}"
    for name in ("add_dummy_prefix", "remove_extra_whitespaces"):
        if not getattr(normalizer, name):
            yield f"with {name}", "one without"
    pieces = {piece.piece for piece in proto.pieces if piece.type == types.Value("NORMAL")}
    yield from _find_odd_pieces(pieces, tokenizer.vocabulary[FIRST:])


def _find_odd_pieces(
    pieces: Collection[str], vocabulary: Sequence[str]
) -> Iterator[tuple[str, str]]:
    if foreign := [piece for piece in vocabulary if piece not in pieces]:
        yield "that has the whole vocabulary", f"{foreign[0]!r} of the vocabulary alone"
    if SPACE not in pieces:
        yield f"with the piece {SPACE}", "one without"
    for piece in sorted(pieces):
        if "\0" in piece or piece in RESERVED_TOKENS:
            yield "without NUL or special names in a piece", repr(piece)
        if piece.endswith(SPACE) and piece.strip(SPACE):
            yield f"without {SPACE} at the end of a word", repr(piece)


def _find_difference(tokenizer: SentencePiece) -> str | bytes | None:
    """A text that the tokenizer and the kernel split differently; None if there is no such text.

    The texts contain every character of `CODES`: first, last, twice, and beside a space.
    """
    kernel = KernelTokenizer(tokenizer)
    tokenize = tf.function(lambda texts: tokenizer.ids(tokenizer.tokenize(texts)), autograph=False)
    texts = [form.format(chr(code)) for form in TEMPLATES for codes in CODES for code in codes]
    texts = [*ODD_TEXTS, *texts]
    for start in range(0, len(texts), BATCH_SIZE):
        batch = texts[start : start + BATCH_SIZE]
        expected = tokenize(tf.constant(batch)).to_list()
        actual = kernel.tokenize_batch(batch).to_list()
        for text, reference, ids in zip(batch, expected, actual, strict=True):
            if reference != ids:
                return text
    return None
