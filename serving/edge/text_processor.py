"""Text processing around the ids of a LiteRT file: tokenizers, caps, copied tokens."""

import json
from typing import Any

import numpy as np

from keras_s2s.serving.edge import requests
from keras_s2s.serving.edge.edge_file import EdgeFile
from keras_s2s.serving.edge.tokenizer import UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.serving.edge.tokenizers import make_tokenizer

__all__ = ["END_TOKEN", "TextProcessor"]

END_TOKEN = "</s>"


class TextProcessor:
    """Conversion between the texts of a request and the ids of a LiteRT file.

    Args:
        file: the file, whose metadata holds the tokenizers.

    Attributes:
        source, target: the tokenizers.
        caps: limits of a request, see `keras_s2s.signatures.CAPS`.
        has_copying: whether the model copies source tokens.
        dictionary: replacements of source tokens, for the option `replace_unknown`.
    """

    def __init__(self, file: EdgeFile) -> None:
        description = file.description
        self.caps: dict[str, int] = description["caps"]
        self.has_copying: bool = description["copies"]
        self.dictionary: dict[str, str] = description.get("dictionary") or {}
        self.source = _read_tokenizer(file, "source", description["source"])
        is_shared = description["target"] == {"same_as": "source"}
        self.target = (
            self.source if is_shared else _read_tokenizer(file, "target", description["target"])
        )

    def read_source(self, text: str | bytes) -> requests.RequestSource:
        """Tokenizes a source text and checks its size."""
        return requests.tokenize_source(text, (self.source, self.target), self.caps)

    def read_row(
        self, options: dict[str, Any], source: requests.RequestSource
    ) -> requests.RequestRow:
        """Checks the options of a text and converts its lists to ids."""
        return requests.tokenize_options(options, source, self.target, self.has_copying, self.caps)

    def target_ids(self, source: requests.RequestSource, tokens: list[str]) -> list[int]:
        """Returns the ids of target tokens, copies of unknown ones included."""
        return requests.target_ids(source.pieces, tokens, self.target, self.has_copying)

    def target_tokens(
        self,
        ids: np.ndarray,
        source: requests.RequestSource,
        alignment: np.ndarray,
        replace_unknown: bool,
    ) -> list[str]:
        """Returns the tokens of target ids.

        Args:
            ids: int array [T]; ids above the vocabulary are copies of source tokens.
            source: the tokenized source.
            alignment: float array [T, S], attention over the source.
            replace_unknown: whether an unknown token becomes the most attended source token, or
                its entry in the dictionary.
        """
        tokens, vocabulary_size = [], len(self.target.vocabulary)
        for token_id, attention in zip(ids.tolist(), alignment):
            position = token_id - vocabulary_size
            if 0 <= position < len(source.pieces):
                token = source.pieces[position]
            else:
                token = self.target.string(UNKNOWN_ID if position >= 0 else token_id)
            if token == UNKNOWN and replace_unknown and source.pieces:
                attended = source.pieces[int(attention[: len(source.pieces)].argmax())]
                token = self.dictionary.get(attended) or attended
            tokens.append(token)
        return tokens


def _read_tokenizer(file: EdgeFile, side: str, description: dict[str, Any]) -> Tokenizer:
    vocabulary = json.loads(file.entry(f"keras_s2s.{side}.vocabulary"))
    model = file.entry(f"keras_s2s.{side}.model") if description["model"] else None
    return make_tokenizer(description, vocabulary, model)
