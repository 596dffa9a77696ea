"""Text to text in a LiteRT file as strings: by operations of tf.text that a host has to link in.

For a source and a target of SentencePiece unigram models the signature `translate` takes one string
and gives one. The kernels are for usual models alone, see `litert_unigram`; what they do otherwise
than SentencePiece even of these, the graph makes good.
"""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s import arrays
from keras_s2s.config import SpecialIds
from keras_s2s.export.comparing import NotProven
from keras_s2s.export.litert_proof import ask_file
from keras_s2s.export.litert_serving import default_options, fill_options
from keras_s2s.export.probes import LONG, ODD, Probe, ask
from keras_s2s.signatures import MISSING_SCORE
from keras_s2s.tokenizers import SPECIAL_PIECES, UNKNOWN, protos

__all__ = [
    "FIRST",
    "ODD_TEXTS",
    "OPERATIONS",
    "SPACE",
    "PieceGraph",
    "Reader",
    "Writer",
    "check_pieces",
]

OPERATIONS = (
    "TFText>ByteSplitWithOffsets",
    "TFText>FastSentencepieceDetokenize",
    "TFText>FastSentencepieceTokenize",
)
PROCESS = "keras_s2s.export.litert_process"
SPECIAL = SpecialIds()
FIRST = len(SPECIAL_PIECES)  # the id of the first piece
SPACE = protos.SPACE
CLOSE = 1e-4  # of scores
ODD_TEXTS = (
    *ODD, "   ", "\u3000a\u00a0 b\u200b", f"{SPACE}a{SPACE} b {SPACE}", SPACE, "a\u0301 \u0301",
    "\ufb01\u2460\uff21\u00b4", b"a \xed\xa0\x80 \xf0\x9f b\xc0\x80", "<unk> <s> </s> <0x41>",
    "\U00010348\U00010348 a\U00010348", "\u00ad\ufeff",
)  # fmt: skip
FEW = "\U00010348" * 17000  # one piece, and more bytes than a text may have


class Reader:
    """One text -> the ids of its pieces, by tf.text's kernel.

    Args:
        tokenizer: a `SentencePiece` of a usual unigram model.
    """

    def __init__(self, tokenizer):
        proto = protos.read(tokenizer.model_file()[1])
        kinds = type(proto).SentencePiece.Type
        known = {piece: i for i, piece in enumerate(tokenizer.vocabulary) if i >= FIRST}
        normal = [one.piece if one.type == kinds.Value("NORMAL") else "" for one in proto.pieces]
        self._ids = np.array([known.get(one, SPECIAL.unknown) for one in normal], np.int32)
        self._spaces = np.array([one != "" and not one.strip(SPACE) for one in normal])
        # The kernel finds the unknown piece by this number, SentencePiece by the piece's type.
        unknown = (i for i, one in enumerate(proto.pieces) if one.type == kinds.Value("UNKNOWN"))
        proto.trainer_spec.unk_id = next(unknown)
        self._kernel = tf_text.FastSentencepieceTokenizer(proto.SerializeToString())

    def __call__(self, text):
        """A text [1] -> int32 ids [N]; the kernel leaves spaces at the end that are no " "."""
        codes = self._kernel.tokenize(text).flat_values
        place = tf.range(tf.shape(codes)[0]) + 1
        last = tf.where(tf.gather(tf.constant(self._spaces), codes), 0, place)
        size = tf.reduce_max(tf.concat([last, [0]], 0))
        return tf.gather(tf.constant(self._ids), codes[:size])

    def many(self, texts) -> list[list[int]]:
        """The ids of many texts, not in a LiteRT file."""
        made = []
        for codes in self._kernel.tokenize(texts).to_list():
            while codes and self._spaces[codes[-1]]:
                codes.pop()
            made.append(self._ids[codes].tolist())
        return made


class Writer:
    """Ids -> one text, by tf.text's kernel.

    The kernel drops one space at the start, of the first piece, where SentencePiece drops all. So
    it is given another model, whose pieces are the ids', and these again without their spaces.

    Args:
        tokenizer: a `SentencePiece` of a usual unigram model.
    """

    def __init__(self, tokenizer):
        proto = protos.read(tokenizer.model_file()[1])
        kinds = type(proto).SentencePiece.Type
        proto.normalizer_spec.add_dummy_prefix = False
        del proto.pieces[:]
        codes = {piece: i for i, piece in enumerate(tokenizer.vocabulary) if i >= FIRST}
        bare = [piece.lstrip(SPACE) for piece in tokenizer.vocabulary[FIRST:]]
        for piece in bare:
            codes.setdefault(piece, SPECIAL.pad if not piece else len(set(codes.values())) + FIRST)
        raise NotImplementedError
