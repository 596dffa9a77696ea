"""SentencePiece tokenizer in the graph: the model is part of the op, not a file of the export."""

import copy
import dataclasses
import re
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.config import Sampling
from keras_s2s.tokenizers import sentencepiece_model
from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.tokenizers.byte import BYTE_NAMES
from keras_s2s.tokenizers.subword_sampling import UnigramSampler

__all__ = ["SentencePiece"]

_UNKNOWN_SURFACE = " \N{DOUBLE QUESTION MARK} "  # the text that SentencePiece decodes <unk> to
_SAMPLING_ARGUMENTS = {"unigram": "alpha", "bpe": "dropout"}
_BYTES = {name: bytes([byte]) for byte, name in enumerate(BYTE_NAMES)}


class SentencePiece(Tokenizer):
    """Subwords of a SentencePiece model (Kudo and Richardson 2018, arXiv 1808.06226).

    Text is normalized as the model says (NFKC and single spaces by default). `detokenize` equals
    the decoding of the sentencepiece package; with byte fallback, bytes that are not UTF-8 become
    U+FFFD. The ids 0 to 3 are pad, unknown, start and end, whatever they are in the model. The
    other pieces of the model follow in its order, without control symbols.

    With `sampling`, `tokenize(text, sample=True)` draws a segmentation. The op has its own random
    generator, which takes no seed, so that two runs differ. `keras.utils.set_random_seed` and
    `tf.random.set_seed` destroy the models of existing ops ("Resource ... does not exist"): set the
    seed before loading a tokenizer.

    Args:
        model: The serialized model; it may come from another tool.
        special_tokens: Texts that are never split; those that the model lacks are added at its
            end.
        sampling: `Sampling` with alpha for a unigram model, with dropout for a BPE model.
        vocabulary: The tokens of the ids 4, 5, ... instead of the model's own.

    Raises:
        ValueError: The model cannot be read, its pieces cannot be joined to text, or it does not
            support the sampling.
    """

    kind = "sentencepiece"

    def __init__(
        self,
        model: bytes,
        special_tokens: Sequence[str] = (),
        sampling: Sampling | None = None,
        vocabulary: Sequence[str] | None = None,
    ):
        proto = sentencepiece_model.parse_model(model)
        if special_tokens and sentencepiece_model.model_type(proto) == "word":
            raise ValueError(
                "special_tokens: expected none for a word model, which does not find them, got"
                f" {list(special_tokens)}"
            )
        sentencepiece_model.add_special_tokens(proto, special_tokens)
        super().__init__(vocabulary or sentencepiece_model.vocabulary(proto), special_tokens)
        self._model = proto.SerializeToString(deterministic=True)
        self._splitter = _load(self._model)
        self._leading_spaces = sentencepiece_model.leading_spaces(proto)
        self._has_bytes = _BYTES.keys() <= set(self.vocabulary)
        raw = [_BYTES.get(token, token.encode()) for token in self.vocabulary]
        self._raw = tf.constant(raw) if self._has_bytes else None
        self.sampling = sampling
        # a function is not tracked: an export, which never samples, does not contain it
        self._sample = _sampler(self._splitter, proto, special_tokens, sampling)

    def tokenize(self, text: tf.Tensor, sample: bool = False) -> tf.RaggedTensor:
        return self._sample(text) if sample else self._splitter.tokenize(text)  # [B, None]

    def is_word_start(self, tokens: tf.Tensor) -> tf.Tensor:
        special = "|".join(re.escape(token) for token in self.special_tokens)
        pattern = f"{sentencepiece_model.SPACE}(?s:.*)" + (f"|{special}" if special else "")
        return tf.strings.regex_full_match(tokens, pattern)

    def detokenize(self, tokens: tf.Tensor) -> tf.Tensor:
        surface = tokens
        if self._has_bytes:
            ids = self.ids(tokens)
            surface = tf.where(ids == UNKNOWN_ID, tokens, tf.gather(self._raw, ids))
        for name in RESERVED_TOKENS:
            text = _UNKNOWN_SURFACE if name == UNKNOWN else ""
            surface = tf.where(tokens == name, text, surface)
        text = tf.strings.reduce_join(surface, axis=-1)
        if self._leading_spaces:
            text = tf.strings.regex_replace(text, self._leading_spaces, "")
        text = tf.strings.regex_replace(text, sentencepiece_model.SPACE, " ")
        if self._has_bytes:
            text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        return text

    def model_file(self) -> tuple[str, bytes]:
        return "model", self._model

    def settings(self) -> dict:
        sampling = {"sampling": dataclasses.asdict(self.sampling)} if self.sampling else {}
        return super().settings() | sampling


def _load(model):
    try:
        return tf_text.SentencepieceTokenizer(model, out_type=tf.string)
    except (tf.errors.OpError, ValueError):
        raise ValueError("model: expected a SentencePiece model, got a damaged one") from None


def _sampler(splitter, proto, special_tokens, sampling) -> Callable:
    """A function that draws the tokens of texts [B], or does not sample without `sampling`."""
    if sampling is None:
        return splitter.tokenize
    model_type = sentencepiece_model.model_type(proto)
    argument = _SAMPLING_ARGUMENTS.get(model_type)
    strength = getattr(sampling, argument) if argument else None
    if strength is None:
        expected = f"expected {argument}" if argument else "expected none"
        raise ValueError(f"sampling: {expected} for a {model_type} model, got {sampling}")
    # a BPE model has no n-best segmentations; with another value it would not sample
    nbest = sampling.nbest if argument == "alpha" else -1
    if argument == "alpha" and special_tokens:
        return UnigramSampler(proto, special_tokens, nbest, strength)
    sampler = copy.copy(splitter)  # shares the model, which may be large
    sampler.nbest_size, sampler.alpha = nbest, strength
    return sampler.tokenize
