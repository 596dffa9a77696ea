"""SentencePiece in the graph: the model lies inside the op, no file beside the export."""

import tensorflow as tf
import tensorflow_text as tf_text

from keras_s2s.tokenizers.base import SPECIAL_PIECES, UNKNOWN, Tokenizer

__all__ = ["SentencePiece"]

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece writes a space within a piece
_UNKNOWN_SURFACE = " \N{DOUBLE QUESTION MARK} "  # what its decoder prints for <unk>


class SentencePiece(Tokenizer):
    """Subwords by a SentencePiece model (Kudo and Richardson 2018, arXiv 1808.06226).

    Text is normalised as the model says (NFKC and single spaces, unless it was trained otherwise).
    `detokenize` gives what the sentencepiece package decodes from the same pieces.

    Args:
        model: the serialised model; its ids 0 to 3 must be `<pad>`, `<unk>`, `<s>` and `</s>`.

    Raises:
        ValueError: the model cannot be read, its first ids are others, or it falls back to bytes.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes):
        splitter, vocabulary = _open(model)
        special = tuple(vocabulary[: len(SPECIAL_PIECES)])
        if special != SPECIAL_PIECES:
            raise ValueError(f"model: expected ids 0 to 3 to be {SPECIAL_PIECES}, came {special}")
        if "<0x00>" in vocabulary:
            raise ValueError("model: expected one without byte fallback, came one with it")
        super().__init__(vocabulary[len(SPECIAL_PIECES) :])
        self._model = model
        self._splitter = splitter

    def pieces(self, text, sample=False):
        return self._splitter.tokenize(text)  # [B, None]

    def detokenize(self, pieces):
        named = pieces
        for name in SPECIAL_PIECES:
            shown = _UNKNOWN_SURFACE if name == UNKNOWN else ""
            named = tf.where(pieces == name, shown, named)
        joined = tf.strings.reduce_join(named, axis=-1)
        text = tf.strings.regex_replace(joined, f"^{_SPACE}+", "")
        return tf.strings.regex_replace(text, _SPACE, " ")

    def model_file(self):
        return "model", self._model


def _open(model: bytes):
    """The model as an op that gives strings of pieces, and all its pieces."""
    try:
        splitter = tf_text.SentencepieceTokenizer(model, out_type=tf.string)
        names = splitter.id_to_string(tf.range(splitter.vocab_size())).numpy()
    except (tf.errors.OpError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"model: expected a SentencePiece model, came {first}") from None
    return splitter, [name.decode() for name in names]
