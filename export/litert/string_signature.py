"""Signature `translate` of a LiteRT file from string to string, with tf.text's operations.

It exists for sources and targets of SentencePiece unigram models and needs a host that links in
tf.text's operations, see `sentencepiece_support`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.default_search import DefaultSearch
from keras_s2s.export.litert.sentencepiece_kernels import (
    SPACE,
    KernelDetokenizer,
    KernelTokenizer,
)
from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.export.litert.verification import run_file
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import LONG, UNUSUAL, ProbeRequest, build_request
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.translator import Translator

__all__ = ["ODD_TEXTS", "OPERATIONS", "StringSignature", "verify_string_signature"]

OPERATIONS = (
    "TFText>ByteSplitWithOffsets",
    "TFText>FastSentencepieceDetokenize",
    "TFText>FastSentencepieceTokenize",
)
WORKER = "keras_s2s.export.litert.custom_ops_worker"
SPECIAL = SpecialIds()
TOLERANCE = 1e-4  # of scores
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
TOO_MANY_BYTES = "\U00010348" * 17000  # one subword, and more bytes than the cap on texts


class StringSignature:
    """Signature `translate`: one text, with the translator's default options.

    Args:
        graphs: signature functions of the model.
        translator: a translator that passes `sentencepiece_support.require`.
    """

    def __init__(self, graphs: LiteRTSignatures, translator: Translator) -> None:
        self._search, self._caps = DefaultSearch(graphs, translator), translator.caps
        self._tokenize = KernelTokenizer(translator.source_tokenizer)
        self._detokenize = KernelDetokenizer(translator.target_tokenizer)
        self._byte_splitter = tf_text.ByteSplitter()

    def concrete(self) -> Any:
        """The concrete function of `text` [1]."""
        spec = tf.TensorSpec([None], tf.string, "text")
        return tf.function(self.translate, autograph=False).get_concrete_function(text=spec)

    def translate(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Translates one text.

        Args:
            text: string [1].

        Returns:
            `text` string [1], empty if the source is too long, and its `score` float32 [1].
        """
        # The batch size, always 1, must not be a constant: the search is traced for any size.
        batch_size = tf.size(text)
        text = tf.reshape(text, [1])  # the detokenizing kernel may end the process at two texts
        num_bytes = tf.shape(self._byte_splitter.split(text).flat_values)
        ids, max_length = self._tokenize(text), self._caps["source_length"]
        fits = (tf.shape(ids) <= max_length) & (num_bytes <= self._caps["text_bytes"])
        ids = tf.concat([ids[:max_length], [SPECIAL.end]], 0)
        ids = tf.reshape(ids, tf.stack([batch_size, tf.shape(ids)[0]]))
        outputs = self._search(ids, tf.fill([batch_size], tf.shape(ids)[1]))
        length = tf.where(fits, outputs["lengths"][0, :1], 0)
        # Not a constant in float16, which cannot hold it.
        missing = tf.cast(tf.fill([batch_size], int(MISSING_SCORE)), tf.float32)
        return {
            "text": self._detokenize(outputs["ids"][0, 0, : length[0]]),
            "score": tf.where(fits, outputs["score"][0, :1], missing),
        }


def verify_string_signature(
    path: Path | str, exchange: Path | str, texts: Sequence[str | bytes]
) -> None:
    """Compares the signature with the answers of the file's other signatures.

    For the other signatures the host tokenizes the texts.

    Args:
        path, exchange: as for `verification.run_file`.
        texts: texts to translate.

    Raises:
        VerificationError: with the first text whose answers differ, or the failure of the process.
    """
    texts = [*texts, *LONG, TOO_MANY_BYTES]
    requests = [build_request("serving_default", [text]) for text in texts]
    references = run_file(path, exchange, requests)
    requests = [ProbeRequest("translate", request.inputs) for request in requests]
    responses = run_file(path, exchange, requests, WORKER)
    for request, reference, response in zip(requests, references, responses, strict=True):
        scores = reference["score"], response["score"]
        is_close = np.allclose(*scores, rtol=TOLERANCE, atol=TOLERANCE)
        if not is_close or reference["text"].tolist() != response["text"].tolist():
            expected, actual = ([x["text"][0], float(x["score"][0])] for x in (reference, response))
            raise VerificationError(
                f"signature translate, {request.describe(0)[:200]}: expected {expected},"
                f" got {actual}"
            )
