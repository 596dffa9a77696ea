"""Which tokenizers tf.text's SentencePiece kernels stand in for, and a refusal of all others.

The kernels read less of a model than SentencePiece does: its type, pieces that are not normal ones
and some settings say nothing to them, or make them read memory that there is not.
"""

import importlib.util

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.export.litert.default_search import has_plain_search
from keras_s2s.export.litert.sentencepiece_kernels import FIRST, SPACE, KernelTokenizer
from keras_s2s.export.litert.string_signature import ODD_TEXTS
from keras_s2s.tokenizers import RESERVED_TOKENS, SentencePiece, sentencepiece_model

__all__ = ["require"]

# What a normalisation may know: of the planes behind these none has more than whole ideographs.
CODES = (range(1, 0xD800), range(0xE000, 0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE0200))
FORMS = ("a{0} {0}", "{0}a{0}b")
BATCH = 8192  # texts


def require(translator) -> None:
    """Checks that a translator's texts can be cut and joined by tf.text's operations.

    Raises:
        UserError: saying what of it they cannot do.
    """
    if importlib.util.find_spec("tensorflow_text") is None:
        raise _refused("the package tensorflow-text", "none")
    if translator.model.supports_copy:
        raise _refused("a model that does not copy", "one that does")
    if not has_plain_search(translator):
        raise _refused("default options of a plain search", "others in the run's decoding")
    for side in ("source", "target"):
        tokenizer = getattr(translator, f"{side}_tokenizer")
        if tokenizer.kind != SentencePiece.kind:
            raise _refused(f"a {side} of kind {SentencePiece.kind}", tokenizer.kind)
        if tokenizer.special_tokens:
            came = ", ".join(tokenizer.special_tokens)
            raise _refused(f"a {side} without special tokens", came)
        for expected, came in _differences(tokenizer):
            raise _refused(f"a {side} model {expected}", came)
    text = _cut_otherwise(translator.source_tokenizer)
    if text is not None:
        raise _refused(
            "a source model by which tf.text's kernel cuts as SentencePiece does",
            f"one by which it cuts {text!r} otherwise",
        )


def _refused(expected, came):
    return UserError(f"text_operations: expected {expected}, came {came}")


def _differences(tokenizer):
    """Pairs of what is expected of a model and what came."""
    proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
    kind, rules = sentencepiece_model.model_type(proto), proto.normalizer_spec
    if kind != "unigram":
        yield "of type unigram", kind
    names = type(proto).SentencePiece.Type
    usual = {names.Value(name) for name in ("NORMAL", "UNKNOWN", "CONTROL")}
    for piece in proto.pieces:
        if piece.type not in usual:
            yield "of normal pieces alone", f"{names.Name(piece.type).lower()} {piece.piece!r}"
    if not rules.precompiled_charsmap:
        yield "that normalises texts", f"the rule {rules.name or 'of none'}"
    for name in ("add_dummy_prefix", "remove_extra_whitespaces"):
        if not getattr(rules, name):
            yield f"with {name}", "one without"
    pieces = {piece.piece for piece in proto.pieces if piece.type == names.Value("NORMAL")}
    yield from _odd_pieces(pieces, tokenizer.vocabulary[FIRST:])


def _odd_pieces(pieces, vocabulary):
    if foreign := [piece for piece in vocabulary if piece not in pieces]:
        yield "that has the whole vocabulary", f"{foreign[0]!r} of the vocabulary alone"
    if SPACE not in pieces:
        yield f"with the piece {SPACE}", "one without"
    for piece in sorted(pieces):
        if "\0" in piece or piece in RESERVED_TOKENS:
            yield "without NUL or special names in a piece", repr(piece)
        if piece.endswith(SPACE) and piece.strip(SPACE):
            yield f"without {SPACE} at the end of a word", repr(piece)


def _cut_otherwise(tokenizer):
    """A text that a tokenizer and its `KernelTokenizer` cut otherwise; None if no odd text is one.

    Every character of `CODES` stands in some, first, last, doubled and beside a space.
    """
    reader = KernelTokenizer(tokenizer)
    cut = tf.function(lambda texts: tokenizer.ids(tokenizer.pieces(texts)), autograph=False)
    texts = [form.format(chr(code)) for form in FORMS for codes in CODES for code in codes]
    texts = [*ODD_TEXTS, *texts]
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        rows = cut(tf.constant(batch)).to_list(), reader.tokenize_batch(batch).to_list()
        for text, one, other in zip(batch, *rows, strict=True):
            if one != other:
                return text
    return None
