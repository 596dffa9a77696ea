"""SentencePiece tokenization and detokenization with tf.text's LiteRT kernels.

The kernels differ from SentencePiece in a few cases, for which the graphs here compensate.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.config import SpecialIds
from keras_s2s.tokenizers import RESERVED_TOKENS, SentencePiece, sentencepiece_model

__all__ = ["FIRST", "SPACE", "KernelDetokenizer", "KernelTokenizer"]

SPECIAL = SpecialIds()
FIRST = len(RESERVED_TOKENS)  # id of the first subword
SPACE = sentencepiece_model.SPACE
CONTINUATION_BYTES = range(0x80, 0xC0)  # bytes of a UTF-8 character after its first byte


class KernelTokenizer:
    """Tokenizer from one text to ids, with tf.text's kernel.

    The kernel charges an unknown character a penalty for each of its bytes, SentencePiece charges
    one penalty. Where two segmentations have equal scores, rounding would then decide differently
    after such a character. The model of the kernel therefore has every continuation byte as a
    piece of score 0.

    Args:
        tokenizer: a `SentencePiece` tokenizer that passes `sentencepiece_support.require`.
    """

    def __init__(self, tokenizer: SentencePiece) -> None:
        proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
        types = type(proto).SentencePiece.Type
        known = {piece: i for i, piece in enumerate(tokenizer.vocabulary) if i >= FIRST}
        normal = [x.piece if x.type == types.Value("NORMAL") else "" for x in proto.pieces]
        ids = [known.get(piece, SPECIAL.unknown) for piece in normal]
        unknown_bytes = [SPECIAL.unknown] * len(CONTINUATION_BYTES)
        self._ids = np.array([*ids, *unknown_bytes], np.int32)
        # The kernel finds the unknown piece by this index, SentencePiece by the type of the piece.
        unknown = [i for i, x in enumerate(proto.pieces) if x.type == types.Value("UNKNOWN")]
        proto.trainer_spec.unk_id = unknown[0]
        codes = np.arange(len(self._ids))
        self._is_unknown = (codes == unknown[0]) | (codes >= len(normal))
        spaces = [i for i, piece in enumerate(normal) if piece and not piece.strip(SPACE)]
        self._is_space = np.isin(codes, spaces)
        content = proto.SerializeToString() + b"".join(map(_byte_piece, CONTINUATION_BYTES))
        self._kernel = tf_text.FastSentencepieceTokenizer(content)

    def __call__(self, text: tf.Tensor) -> tf.Tensor:
        """A text [1] -> int32 ids [N], without trailing spaces and repeated unknown tokens."""
        codes = self._kernel.tokenize(text).flat_values
        positions = tf.range(tf.shape(codes)[0]) + 1
        ends = tf.where(tf.gather(tf.constant(self._is_space), codes), 0, positions)
        codes = codes[: tf.reduce_max(tf.concat([ends, [0]], 0))]
        is_unknown = tf.gather(tf.constant(self._is_unknown), codes)
        is_repeated = is_unknown & tf.concat([[False], is_unknown], 0)[:-1]
        indices = tf.reshape(tf.where(~is_repeated), [-1])
        return tf.gather(tf.constant(self._ids), tf.gather(codes, indices))

    def tokenize_batch(self, texts: Sequence[str | bytes]) -> tf.RaggedTensor:
        """Texts [B] -> ids, ragged [B, None]; not for a LiteRT file."""
        codes = self._kernel.tokenize(texts)
        row, codes = codes.value_rowids().numpy(), codes.values.numpy()
        positions, last = np.arange(len(codes)), np.full(len(texts), -1)
        np.maximum.at(last, row, np.where(self._is_space[codes], -1, positions))
        is_unknown = self._is_unknown[codes]
        is_repeated = is_unknown & np.r_[False, is_unknown][:-1] & (np.r_[-1, row][:-1] == row)
        is_kept = ~is_repeated & (positions <= last[row])
        ids = self._ids[codes[is_kept]]
        return tf.RaggedTensor.from_value_rowids(ids, row[is_kept], len(texts))


def _byte_piece(byte: int) -> bytes:
    """A serialized piece of one byte with score 0.

    Written by hand: a protocol buffer in Python cannot hold a part of a UTF-8 character.
    """
    return bytes([0x0A, 8, 0x0A, 1, byte, 0x15, 0, 0, 0, 0])


class KernelDetokenizer:
    """Detokenizer from ids to one text, with tf.text's kernel.

    The kernel removes one space at the start of a text, SentencePiece removes all. The kernel
    therefore gets a model with every piece twice: as it is, and without its leading spaces.

    Args:
        tokenizer: a `SentencePiece` tokenizer that passes `sentencepiece_support.require`.
    """

    def __init__(self, tokenizer: SentencePiece) -> None:
        proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
        types, known = type(proto).SentencePiece.Type, tokenizer.vocabulary
        pieces = {piece: i for i, piece in enumerate(known) if i >= FIRST} | {"": SPECIAL.pad}
        stripped = [
            i if i < FIRST else pieces.setdefault(piece.lstrip(SPACE), len(pieces) + FIRST - 1)
            for i, piece in enumerate(known)
        ]
        self._stripped = np.array(stripped, np.int32)
        self._is_blank = np.isin(stripped, [SPECIAL.pad, SPECIAL.start, SPECIAL.end])
        del proto.pieces[:]
        for i, piece in enumerate([*known[:FIRST], *sorted(pieces, key=pieces.get)[1:]]):
            kind = "NORMAL" if i >= FIRST else "UNKNOWN" if i == SPECIAL.unknown else "CONTROL"
            proto.pieces.add(piece=piece, type=types.Value(kind))
        proto.normalizer_spec.add_dummy_prefix = False
        self._kernel = tf_text.FastSentencepieceTokenizer(proto.SerializeToString())

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Int32 ids [T] -> their text [1]."""
        is_shown = tf.cast(~tf.gather(tf.constant(self._is_blank), ids), tf.int32)
        is_start = tf.equal(tf.cumsum(is_shown, exclusive=True), 0)
        codes = tf.where(is_start, tf.gather(tf.constant(self._stripped), ids), ids)
        splits = tf.concat([[0], tf.shape(ids)], 0)
        rows = tf.RaggedTensor.from_row_splits(codes, splits, validate=False)
        return self._kernel.detokenize(rows)
