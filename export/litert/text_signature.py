"""Text to text in a LiteRT file, as numbers: no built-in operation reads or joins strings.

For a source and a target of bytes or of characters a text is the vector of its UTF-8's bytes, or
of its code points, and the signature `translate` takes and gives such vectors.
"""

import numpy as np
import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.default_search import default_options, fill_options, has_plain_search
from keras_s2s.export.litert.signature_functions import copy_output
from keras_s2s.export.litert.verification import run_file
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import ProbeRequest, build_request
from keras_s2s.layers import loop_backend
from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = [
    "TextSignature",
    "decode_text",
    "encode_text",
    "supports_text_signature",
    "verify_text_signature",
]

SPECIAL = SpecialIds()
KINDS = ("bytes", "characters")
NUMBERS = "numbers"  # what the process that proves a file calls its signature `translate`
NOTHING = -1
FIRST = 4  # the id of the first piece


def supports_text_signature(translator) -> bool:
    """Whether a translator's texts are numbers, and its defaults a plain search."""
    pair = translator.source_tokenizer, translator.target_tokenizer
    return has_plain_search(translator) and all(
        one.kind in KINDS and not one.special_tokens for one in pair
    )


def encode_text(tokenizer, text) -> list[int]:
    """A text as the numbers that the signature takes or gives."""
    return [*text.encode()] if tokenizer.kind == "bytes" else [*map(ord, text)]


def decode_text(tokenizer, found) -> str:
    """The text of such numbers."""
    if tokenizer.kind == "bytes":
        return bytes(found).decode("utf-8", "replace")
    return "".join(map(chr, found))


def _pieces(tokenizer):
    """For each id the numbers of its text."""
    known = (
        [[i] for i in range(256)]
        if tokenizer.kind == "bytes"
        else [[*map(ord, piece)] for piece in tokenizer.vocabulary[FIRST:]]
    )
    made = [[], [], [], [], *known]
    made[SPECIAL.unknown] = encode_text(tokenizer, tokenizer.vocabulary[SPECIAL.unknown])
    return made


class TextSignature:
    """The signature `translate`: one text, by the translator's default options.

    Args:
        graphs: `litert_graphs.Graphs` of the model.
        translator: one that `supports_text_signature`.
    """

    def __init__(self, graphs, translator):
        self._search, self._most = graphs.translate_ids, translator.caps["source_length"]
        read, write = map(_pieces, (translator.source_tokenizer, translator.target_tokenizer))
        self._keys = np.array(
            [one[0] if len(one) == 1 else NOTHING for one in read[FIRST:]], np.int32
        )
        self._table = np.full([len(write), max(map(len, write))], NOTHING, np.int32)
        for row, one in zip(self._table, write):
            row[: len(one)] = one
        self._options = default_options(translator)

    def concrete(self):
        """The concrete function of numbers [N], and how many of them are the text [1]."""
        specs = {
            "text": tf.TensorSpec([None], tf.int32, "text"),
            "length": tf.TensorSpec([None], tf.int32, "length"),
        }
        with loop_backend.growing():
            return tf.function(self.translate, autograph=False).get_concrete_function(**specs)

    def translate(self, text, length):
        """`decode_text` [M], of which `length` [1] are the target's, and its `score` [1]."""
        size = tf.clip_by_value(length, 0, tf.minimum(tf.shape(text)[0], self._most))
        # The rows of the search, always one, are no constant: it is built for any number of them.
        rows = tf.shape(length)[0]
        ids = tf.reshape(self._read(text[: size[0]]), tf.stack([rows, size[0] + 1]))
        found = self._search(ids, size + 1, **fill_options(self._options, rows))
        fits = length <= self._most
        written = tf.where(fits, found["lengths"][0, :1], 0)
        shown = tf.gather(tf.constant(self._table), found["ids"][0, 0])  # [T, numbers of a piece]
        inside = tf.expand_dims(tf.range(tf.shape(shown)[0]) < written, 1) & (shown >= 0)
        none = tf.cast(tf.fill([rows], int(MISSING_SCORE)), tf.float32)  # no constant in float16
        places = tf.reshape(tf.where(tf.reshape(inside, [-1])), [-1])
        made = tf.gather(tf.reshape(shown, [-1]), places)
        return {
            "text": copy_output(
                tf.concat([made, [0]], 0)
            ),  # one without elements is none to a host
            "length": tf.expand_dims(tf.shape(made)[0], 0),
            "score": tf.where(fits, found["score"][0, :1], none),
        }

    def _read(self, text):
        same = tf.equal(tf.expand_dims(text, 1), tf.expand_dims(tf.constant(self._keys), 0))
        place = tf.argmax(tf.cast(same, tf.int32), 1, tf.int32) + FIRST
        ids = tf.where(tf.reduce_any(same, 1) & (text >= 0), place, SPECIAL.unknown)
        return tf.concat([ids, [SPECIAL.end]], 0)


def verify_text_signature(translator, path, place, texts):
    """Compares the signature with what the file answers by its other signatures.

    Args:
        path, place: as for `litert_proof.ask_file`.
        texts: list of strings or bytes.

    Raises:
        NotProven: with the first text that they answer otherwise.
    """
    texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in texts]
    source, target = translator.source_tokenizer, translator.target_tokenizer
    given = [encode_text(source, one) for one in texts]
    whole = np.int32
    asked = [
        ProbeRequest(
            NUMBERS, {"text": np.array([*one, 0], whole), "length": np.array([len(one)], whole)}
        )
        for one in given
    ]
    plain, *found = run_file(path, place, [build_request("serving_default", texts), *asked])
    for one, expected, answer in zip(texts, plain["text"], found, strict=True):
        came = decode_text(target, answer["text"][: answer["length"][0]].tolist())
        if came != expected.decode():
            raise NotProven(
                f"signature translate, text {one!r}: expected {expected.decode()!r}, came {came!r}"
            )
