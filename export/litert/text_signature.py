"""Signature `translate` of a LiteRT file from text to text, with texts as numbers.

LiteRT's built-in operations can neither split nor join strings. For tokenizers of bytes or
characters a text is therefore the vector of its UTF-8 bytes or of its code points.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.default_search import DefaultSearch, has_plain_search
from keras_s2s.export.litert.signature_functions import LiteRTSignatures, copy_output
from keras_s2s.export.litert.verification import run_file
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import ProbeRequest, build_request
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.tokenizers import RESERVED_TOKENS, Tokenizer
from keras_s2s.translator import Translator

__all__ = [
    "TextSignature",
    "decode_text",
    "encode_text",
    "supports_text_signature",
    "verify_text_signature",
]

SPECIAL = SpecialIds()
KINDS = ("bytes", "characters")
REQUEST_NAME = "numbers"  # of the signature in requests to the worker process
NO_CODE = -1
FIRST = len(RESERVED_TOKENS)  # id of the first token


def supports_text_signature(translator: Translator) -> bool:
    """Whether a translator's texts can be numbers and its default search is a plain one."""
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    return has_plain_search(translator) and all(
        tokenizer.kind in KINDS and not tokenizer.special_tokens for tokenizer in tokenizers
    )


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """A text as the bytes or code points that the signature takes."""
    return [*text.encode()] if tokenizer.kind == "bytes" else [*map(ord, text)]


def decode_text(tokenizer: Tokenizer, codes: Sequence[int]) -> str:
    """The text of the bytes or code points that the signature returns."""
    if tokenizer.kind == "bytes":
        return bytes(codes).decode("utf-8", "replace")
    return "".join(map(chr, codes))


def _codes_by_id(tokenizer: Tokenizer) -> list[list[int]]:
    """The codes of each token's text, by id."""
    if tokenizer.kind == "bytes":
        codes = [[i] for i in range(256)]
    else:
        codes = [[*map(ord, token)] for token in tokenizer.vocabulary[FIRST:]]
    codes = [*[[]] * FIRST, *codes]
    codes[SPECIAL.unknown] = encode_text(tokenizer, tokenizer.vocabulary[SPECIAL.unknown])
    return codes


class TextSignature:
    """Signature `translate`: one text, with the translator's default options.

    Args:
        graphs: signature functions of the model.
        translator: a translator that passes `supports_text_signature`.
    """

    def __init__(self, graphs: LiteRTSignatures, translator: Translator) -> None:
        self._search = DefaultSearch(graphs, translator)
        self._max_length = translator.caps["source_length"]
        tokenizers = translator.source_tokenizer, translator.target_tokenizer
        source_codes, target_codes = map(_codes_by_id, tokenizers)
        source_codes = [x[0] if len(x) == 1 else NO_CODE for x in source_codes[FIRST:]]
        self._source_codes = np.array(source_codes, np.int32)
        width = max(map(len, target_codes))
        self._target_codes = np.full([len(target_codes), width], NO_CODE, np.int32)
        for row, codes in zip(self._target_codes, target_codes):
            row[: len(codes)] = codes

    def concrete(self) -> Any:
        """The concrete function of `text` [N] and `length` [1]."""
        specs = {
            "text": tf.TensorSpec([None], tf.int32, "text"),
            "length": tf.TensorSpec([None], tf.int32, "length"),
        }
        return tf.function(self.translate, autograph=False).get_concrete_function(**specs)

    def translate(self, text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Translates one text.

        Args:
            text: int32 [N], at least one element.
            length: int32 [1], how many elements of `text` are the text.

        Returns:
            `decode_text` int32 [M], `length` int32 [1] of the target, and its `score` float32 [1].
        """
        size = tf.clip_by_value(length, 0, tf.minimum(tf.shape(text)[0], self._max_length))
        # The batch size, always 1, must not be a constant: the search is traced for any size.
        batch_size = tf.shape(length)[0]
        ids = tf.reshape(self._tokenize(text[: size[0]]), tf.stack([batch_size, size[0] + 1]))
        outputs = self._search(ids, size + 1)
        fits = length <= self._max_length
        target_length = tf.where(fits, outputs["lengths"][0, :1], 0)
        codes = tf.gather(tf.constant(self._target_codes), outputs["ids"][0, 0])  # [T, codes]
        positions = tf.expand_dims(tf.range(tf.shape(codes)[0]), 1)
        is_text = (positions < target_length) & (codes >= 0)
        # Not a constant in float16, which cannot hold it.
        missing = tf.cast(tf.fill([batch_size], int(MISSING_SCORE)), tf.float32)
        indices = tf.reshape(tf.where(tf.reshape(is_text, [-1])), [-1])
        target = tf.gather(tf.reshape(codes, [-1]), indices)  # [M]
        return {
            "text": copy_output(tf.concat([target, [0]], 0)),  # a host gets no tensor of size 0
            "length": tf.expand_dims(tf.shape(target)[0], 0),
            "score": tf.where(fits, outputs["score"][0, :1], missing),
        }

    def _tokenize(self, text: tf.Tensor) -> tf.Tensor:
        """Codes [N] -> ids [N + 1], the end token included."""
        is_code = tf.equal(tf.expand_dims(text, 1), tf.expand_dims(self._source_codes, 0))
        ids = tf.argmax(tf.cast(is_code, tf.int32), 1, tf.int32) + FIRST
        is_known = tf.reduce_any(is_code, 1) & (text >= 0)
        return tf.concat([tf.where(is_known, ids, SPECIAL.unknown), [SPECIAL.end]], 0)


def verify_text_signature(
    translator: Translator,
    path: Path | str,
    exchange: Path | str,
    texts: Sequence[str | bytes],
) -> None:
    """Compares the signature with the answers of the file's other signatures.

    Args:
        translator: the exported translator.
        path, exchange: as for `verification.run_file`.
        texts: texts to translate.

    Raises:
        VerificationError: with the first text whose answers differ.
    """
    texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts]
    source, target = translator.source_tokenizer, translator.target_tokenizer
    requests = [build_request("serving_default", texts)]
    for text in texts:
        codes = encode_text(source, text)
        inputs = {"text": [*codes, 0], "length": [len(codes)]}
        inputs = {name: np.array(value, np.int32) for name, value in inputs.items()}
        requests.append(ProbeRequest(REQUEST_NAME, inputs))
    reference, *responses = run_file(path, exchange, requests)
    for text, expected, response in zip(texts, reference["text"], responses, strict=True):
        actual = decode_text(target, response["text"][: response["length"][0]].tolist())
        if actual != expected.decode():
            raise VerificationError(
                f"signature translate, text {text!r}: expected {expected.decode()!r},"
                f" got {actual!r}"
            )
