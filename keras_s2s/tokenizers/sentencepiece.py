"""SentencePiece in the graph: the model lies inside the op, no file beside the export."""

import copy
import dataclasses
import re

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.config import SubwordSampling
from keras_s2s.tokenizers import sentencepiece_model
from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.tokenizers.byte import BYTE_NAMES
from keras_s2s.tokenizers.subword_sampling import UnigramSampler

__all__ = ["SentencePiece"]

_UNKNOWN_SURFACE = " \N{DOUBLE QUESTION MARK} "  # what its decoder prints for <unk>
_ARGUMENTS = {"unigram": "alpha", "bpe": "dropout"}
_BYTES = {name: bytes([byte]) for byte, name in enumerate(BYTE_NAMES)}


class SentencePiece(Tokenizer):
    """Subwords by a SentencePiece model (Kudo and Richardson 2018, arXiv 1808.06226).

    Text is normalised as the model says (NFKC and single spaces, unless it was trained otherwise).
    `detokenize` gives what the sentencepiece package decodes from the same pieces; with byte
    fallback, bytes that are no UTF-8 become U+FFFD. Ids are ours, 0 to 3 for pad, unknown, start
    and end, whatever they are in the model; its other pieces follow in its order, without control
    symbols.

    With `sampling`, `pieces(text, sample=True)` draws a cutting. The op's generator is its own: it
    takes no seed, and two runs differ. `keras.utils.set_random_seed` and `tf.random.set_seed` end
    the models of ops that were made before ("Resource ... does not exist"): seed first, then load.

    Args:
        model: the serialised model, also one that another tool trained.
        special_tokens: texts that are never cut; what the model lacks is added at its end.
        sampling: `SubwordSampling` with alpha for a unigram model, with dropout for a BPE model.
        vocabulary: the pieces of the ids 4, 5, ... in place of the model's own.

    Raises:
        ValueError: the model cannot be read, its pieces cannot be joined again, or it cannot be
            sampled from so.
    """

    kind = "sentencepiece"

    def __init__(
        self,
        model: bytes,
        special_tokens=(),
        sampling: SubwordSampling | None = None,
        vocabulary=None,
    ):
        proto = sentencepiece_model.parse_model(model)
        if special_tokens and sentencepiece_model.model_type(proto) == "word":
            raise ValueError("special_tokens: expected none for a word model, which finds none")
        sentencepiece_model.add_special_tokens(proto, special_tokens)
        super().__init__(vocabulary or sentencepiece_model.vocabulary(proto), special_tokens)
        self._model = proto.SerializeToString(deterministic=True)
        self._splitter = _open(self._model)
        self._leading_spaces = sentencepiece_model.leading_spaces(proto)
        self._has_bytes = _BYTES.keys() <= set(self.vocabulary)
        raw = [_BYTES.get(piece, piece.encode()) for piece in self.vocabulary]
        self._raw = tf.constant(raw) if self._has_bytes else None
        self.sampling = sampling
        # a function, so that an export, which never samples, holds nothing of it
        self._sample = _sampler(self._splitter, proto, special_tokens, sampling)

    def pieces(self, text, sample=False):
        return self._sample(text) if sample else self._splitter.tokenize(text)  # [B, None]

    def is_word_start(self, pieces):
        special = "|".join(re.escape(token) for token in self.special_tokens)
        either = f"{sentencepiece_model.SPACE}(?s:.*)" + (f"|{special}" if special else "")
        return tf.strings.regex_full_match(pieces, either)

    def detokenize(self, pieces):
        shown = pieces
        if self._has_bytes:
            ids = self.ids(pieces)
            shown = tf.where(ids == UNKNOWN_ID, pieces, tf.gather(self._raw, ids))
        for name in RESERVED_TOKENS:
            shown = tf.where(pieces == name, _UNKNOWN_SURFACE if name == UNKNOWN else "", shown)
        text = tf.strings.reduce_join(shown, axis=-1)
        if self._leading_spaces:
            text = tf.strings.regex_replace(text, self._leading_spaces, "")
        text = tf.strings.regex_replace(text, sentencepiece_model.SPACE, " ")
        if self._has_bytes:
            text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        return text

    def model_file(self):
        return "model", self._model

    def settings(self):
        sampling = {"sampling": dataclasses.asdict(self.sampling)} if self.sampling else {}
        return super().settings() | sampling


def _open(model):
    try:
        return tf_text.SentencepieceTokenizer(model, out_type=tf.string)
    except (tf.errors.OpError, ValueError):
        raise ValueError("model: expected a SentencePiece model, came a damaged one") from None


def _sampler(splitter, proto, special_tokens, sampling):
    """A function of texts [B] that draws their pieces; without `sampling` it cuts as ever."""
    if sampling is None:
        return splitter.tokenize
    model_type = sentencepiece_model.model_type(proto)
    argument = _ARGUMENTS.get(model_type)
    strength = getattr(sampling, argument) if argument else None
    if strength is None:
        expected = f"expected {argument}" if argument else "expected none"
        raise ValueError(f"sampling: {expected} for a {model_type} model, came {sampling}")
    # a BPE model knows no n best ones; asked for them, it would not sample at all
    nbest = sampling.nbest if argument == "alpha" else -1
    if argument == "alpha" and special_tokens:
        return UnigramSampler(proto, special_tokens, nbest, strength)
    sampler = copy.copy(splitter)  # shares the model, which may be large
    sampler.nbest_size, sampler.alpha = nbest, strength
    return sampler.tokenize
