"""Models of many languages: a piece that names the language stands before every text."""

from collections.abc import Sequence

import tensorflow as tf

from keras_s2s.tokenizers.marian import Marian
from keras_s2s.tokenizers.special_tokens import special_token_pattern

__all__ = ["Multilingual"]


class Multilingual(Marian):
    """The tokenizer of one side of an M2M100 or NLLB model, for one language.

    SentencePiece cuts the text, the piece of the language comes before; a text that begins with
    another language's piece is in that language. `detokenize` leaves out languages and unknown
    pieces.

    Args:
        model: the serialised SentencePiece model.
        vocabulary: the pieces of the ids 4, 5, ..., those of the languages among them.
        languages: the pieces that name one.
        language: that of texts which name none.

    Attributes:
        opening: the pieces that every text begins with; of a target they are forced.

    Raises:
        ValueError: as for `SentencePiece`, or a language has no id.
    """

    kind = "multilingual"

    def __init__(
        self, model: bytes, vocabulary: Sequence[str], languages: Sequence[str], language: str
    ):
        for name in (*languages, language):
            if name not in vocabulary or name not in languages:
                raise ValueError(f"languages: expected pieces of the vocabulary, came {name!r}")
        super().__init__(model, vocabulary)
        self.languages, self.prefix_tokens = tuple(languages), (language,)
        self._named = special_token_pattern(self.languages)

    def pieces(self, text, sample=False):
        rest = tf.strings.regex_replace(text, f"^({self._named}) ?", "", replace_global=False)
        length = tf.strings.length(text) - tf.strings.length(rest)
        tags = tf.strings.strip(tf.strings.substr(text, tf.zeros_like(length), length))
        tags = tf.where(length > 0, tags, self.prefix_tokens[0])  # [B]
        tags = tf.RaggedTensor.from_tensor(tf.expand_dims(tags, 1))
        return tf.concat([tags, self.cut_rest(rest)], axis=1)

    def tokenize_phrases(self, text):
        return self.cut_rest(text)

    def is_word_start(self, pieces):
        return super().is_word_start(pieces) | tf.strings.regex_full_match(pieces, self._named)

    def detokenize(self, pieces):
        named = tf.strings.regex_full_match(pieces, self._named)
        return super().detokenize(tf.where(named, "", pieces))

    def settings(self):
        own = {"languages": list(self.languages), "language": self.prefix_tokens[0]}
        return super().settings() | own
