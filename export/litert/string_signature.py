"""Text to text in a LiteRT file as strings: by operations of tf.text that a host has to link in.

For a source and a target of SentencePiece unigram models the signature `translate` takes one string
and gives one. The kernels are for usual models alone, see `litert_unigram`; what they do otherwise
than SentencePiece even of these, the graph makes good.
"""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.default_search import default_options, fill_options
from keras_s2s.export.litert.verification import run_file
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import LONG, UNUSUAL, ProbeRequest, build_request
from keras_s2s.layers import loop_backend
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.tokenizers import RESERVED_TOKENS, sentencepiece_model

__all__ = [
    "FIRST",
    "ODD_TEXTS",
    "OPERATIONS",
    "SPACE",
    "KernelDetokenizer",
    "KernelTokenizer",
    "StringSignature",
    "verify_string_signature",
]

OPERATIONS = (
    "TFText>ByteSplitWithOffsets",
    "TFText>FastSentencepieceDetokenize",
    "TFText>FastSentencepieceTokenize",
)
PROCESS = "keras_s2s.export.litert.custom_ops_worker"
SPECIAL = SpecialIds()
FIRST = len(RESERVED_TOKENS)  # the id of the first piece
SPACE = sentencepiece_model.SPACE
WITHIN = range(0x80, 0xC0)  # the bytes of a character of UTF-8 behind its first
CLOSE = 1e-4  # of scores
ODD_TEXTS = (
    *UNUSUAL,
    "   ",
    "\u3000a\u00a0 b\u200b",
    f"{SPACE}a{SPACE} b {SPACE}",
    SPACE,
    "a\u0301 \u0301",
    "\ufb01\u2460\uff21\u00b4",
    b"a \xed\xa0\x80 \xf0\x9f b\xc0\x80",
    "<unk> <s> </s> <0x41>",
    "\U00010348\U00010348 a\U00010348",
    "\u00ad\ufeff",
)
FEW = "\U00010348" * 17000  # one piece, and more bytes than a text may have


class KernelTokenizer:
    """One text -> the ids of its pieces, by tf.text's kernel.

    An unknown character costs the kernel a penalty for each of its bytes, and SentencePiece one:
    where two ways to cut have equal scores, rounding would decide otherwise behind it. So the
    bytes within a character are pieces here, that cost nothing.

    Args:
        tokenizer: a `SentencePiece` of a usual unigram model.
    """

    def __init__(self, tokenizer):
        proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
        kinds = type(proto).SentencePiece.Type
        known = {piece: i for i, piece in enumerate(tokenizer.vocabulary) if i >= FIRST}
        normal = [one.piece if one.type == kinds.Value("NORMAL") else "" for one in proto.pieces]
        ids = [known.get(one, SPECIAL.unknown) for one in normal]
        self._ids = np.array([*ids, *[SPECIAL.unknown] * len(WITHIN)], np.int32)
        # The kernel finds the unknown piece by this number, SentencePiece by the piece's type.
        unknown = [i for i, one in enumerate(proto.pieces) if one.type == kinds.Value("UNKNOWN")]
        proto.trainer_spec.unk_id = unknown[0]
        codes = np.arange(len(self._ids))
        self._unknown = (codes == unknown[0]) | (codes >= len(normal))
        self._spaces = np.isin(codes, [i for i, x in enumerate(normal) if x and not x.strip(SPACE)])
        content = proto.SerializeToString() + b"".join(map(_free_piece, WITHIN))
        self._kernel = tf_text.FastSentencepieceTokenizer(content)

    def __call__(self, text):
        """A text [1] -> int32 ids [N]."""
        codes = self._kernel.tokenize(text).flat_values
        place = tf.range(tf.shape(codes)[0]) + 1
        last = tf.where(tf.gather(tf.constant(self._spaces), codes), 0, place)
        codes = codes[: tf.reduce_max(tf.concat([last, [0]], 0))]
        unknown = tf.gather(tf.constant(self._unknown), codes)
        again = unknown & tf.concat([[False], unknown], 0)[:-1]
        kept = tf.reshape(tf.where(~again), [-1])
        return tf.gather(tf.constant(self._ids), tf.gather(codes, kept))

    def tokenize_batch(self, texts):
        """The ids of texts [B], ragged [B, None], not in a LiteRT file."""
        codes = self._kernel.tokenize(texts)
        row, codes = codes.value_rowids().numpy(), codes.values.numpy()
        place, last = np.arange(len(codes)), np.full(len(texts), -1)
        np.maximum.at(last, row, np.where(self._spaces[codes], -1, place))
        unknown = self._unknown[codes]
        again = unknown & np.r_[False, unknown][:-1] & (np.r_[-1, row][:-1] == row)
        kept = ~again & (place <= last[row])
        return tf.RaggedTensor.from_value_rowids(self._ids[codes[kept]], row[kept], len(texts))


def _free_piece(byte):
    """A serialised piece of one byte, of score 0; no message of Python holds half a character."""
    return bytes([0x0A, 8, 0x0A, 1, byte, 0x15, 0, 0, 0, 0])


class KernelDetokenizer:
    """Ids -> one text, by tf.text's kernel.

    The kernel drops one space at the start, that of the first piece, and SentencePiece all. So it
    is given another model, whose pieces are the ids', and these again without their first spaces.

    Args:
        tokenizer: a `SentencePiece` of a usual unigram model.
    """

    def __init__(self, tokenizer):
        proto = sentencepiece_model.parse_model(tokenizer.model_file()[1])
        kinds, known = type(proto).SentencePiece.Type, tokenizer.vocabulary
        pieces = {piece: i for i, piece in enumerate(known) if i >= FIRST} | {"": SPECIAL.pad}
        bare = [
            i if i < FIRST else pieces.setdefault(piece.lstrip(SPACE), len(pieces) + FIRST - 1)
            for i, piece in enumerate(known)
        ]
        self._bare = np.array(bare, np.int32)
        self._blank = np.isin(bare, [SPECIAL.pad, SPECIAL.start, SPECIAL.end])
        del proto.pieces[:]
        for i, piece in enumerate([*known[:FIRST], *sorted(pieces, key=pieces.get)[1:]]):
            kind = "NORMAL" if i >= FIRST else "UNKNOWN" if i == SPECIAL.unknown else "CONTROL"
            proto.pieces.add(piece=piece, type=kinds.Value(kind))
        proto.normalizer_spec.add_dummy_prefix = False
        self._kernel = tf_text.FastSentencepieceTokenizer(proto.SerializeToString())

    def __call__(self, ids):
        """Int32 ids [T] -> their text [1]."""
        shown = tf.cast(~tf.gather(tf.constant(self._blank), ids), tf.int32)
        begins = tf.equal(tf.cumsum(shown, exclusive=True), 0)
        codes = tf.where(begins, tf.gather(tf.constant(self._bare), ids), ids)
        splits = tf.concat([[0], tf.shape(ids)], 0)
        rows = tf.RaggedTensor.from_row_splits(codes, splits, validate=False)
        return self._kernel.detokenize(rows)


class StringSignature:
    """The signature `translate`: one text, by the translator's default options.

    Args:
        graphs: `litert_graphs.Graphs` of the model.
        translator: one that `litert_unigram.require` has nothing against.
    """

    def __init__(self, graphs, translator):
        self._search, self._caps = graphs.translate_ids, translator.caps
        self._read = KernelTokenizer(translator.source_tokenizer)
        self._write = KernelDetokenizer(translator.target_tokenizer)
        self._bytes, self._options = tf_text.ByteSplitter(), default_options(translator)

    def concrete(self):
        """The concrete function of one string [1]."""
        spec = tf.TensorSpec([None], tf.string, "text")
        with loop_backend.growing():
            return tf.function(self.translate, autograph=False).get_concrete_function(text=spec)

    def translate(self, text):
        """The `text` [1] of the best target, "" of a text that is too long, and `score` [1]."""
        rows = tf.size(text)  # always 1, but no constant: the search is built for any number
        text = tf.reshape(text, [1])  # the kernel that joins may end the process at two
        size = tf.shape(self._bytes.split(text).flat_values)
        ids = self._read(text)
        fits = (tf.shape(ids) <= self._caps["source_length"]) & (size <= self._caps["text_bytes"])
        ids = tf.concat([ids[: self._caps["source_length"]], [SPECIAL.end]], 0)
        ids = tf.reshape(ids, tf.stack([rows, tf.shape(ids)[0]]))
        lengths = tf.fill([rows], tf.shape(ids)[1])
        found = self._search(ids, lengths, **fill_options(self._options, rows))
        written = tf.where(fits, found["lengths"][0, :1], 0)
        none = tf.cast(tf.fill([rows], int(MISSING_SCORE)), tf.float32)  # no constant in float16
        return {
            "text": self._write(found["ids"][0, 0, : written[0]]),
            "score": tf.where(fits, found["score"][0, :1], none),
        }


def verify_string_signature(path, place, texts):
    """Compares the signature with what the file answers by its others, texts cut in the host.

    Args:
        path, place: as for `litert_proof.ask_file`.
        texts: list of strings or bytes.

    Raises:
        NotProven: with the first text that they answer otherwise, or what ended the process.
    """
    asked = [build_request("serving_default", [one]) for one in [*texts, *LONG, FEW]]
    own = [ProbeRequest("translate", probe.inputs) for probe in asked]
    plain, found = run_file(path, place, asked), run_file(path, place, own, PROCESS)
    for probe, one, other in zip(asked, plain, found, strict=True):
        same = np.allclose(one["score"], other["score"], rtol=CLOSE, atol=CLOSE)
        if not same or one["text"].tolist() != other["text"].tolist():
            expected, came = ([x["text"][0], float(x["score"][0])] for x in (one, other))
            raise NotProven(
                f"signature translate, {probe.describe(0)[:200]}: expected {expected}, came {came}"
            )
