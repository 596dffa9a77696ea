"""Some of a vocabulary's pieces as a vocabulary of their own, for a search that gives no others."""

from collections.abc import Sequence

from keras_s2s.tokenizers.base import RESERVED_TOKENS, Tokenizer

__all__ = ["Shortlist"]


class Shortlist(Tokenizer):
    """A tokenizer that numbers some pieces of another one, and cuts and joins as that one does.

    The four special ids stay; the others number the pieces in the order of the whole vocabulary. A
    piece that is not among them is unknown.

    Args:
        whole: the `Tokenizer`.
        pieces: pieces of it, in any order, a special one among them or not.

    Attributes:
        whole_ids: for each id the id that `whole` has for its piece.

    Raises:
        ValueError: there are none but special ones, or one that `whole` lacks.
    """

    def __init__(self, whole: Tokenizer, pieces: Sequence[str]):
        known = {piece: number for number, piece in enumerate(whole.vocabulary)}
        for piece in pieces:
            if piece not in known:
                raise ValueError(f"shortlist: expected pieces of the vocabulary, came {piece!r}")
        wanted = {known[piece] for piece in (*pieces, *whole.prefix_tokens)}
        numbers = sorted(wanted - set(range(self.first)))
        if not numbers:
            raise ValueError("shortlist: expected at least one piece that is not special")
        super().__init__([whole.vocabulary[number] for number in numbers])
        self.whole_ids = (*range(len(RESERVED_TOKENS)), *numbers)
        self.whole, self.kind, self.prefix_tokens = whole, whole.kind, whole.prefix_tokens

    def pieces(self, text, sample=False):
        return self.whole.pieces(text, sample)

    def split_text(self, text):
        return self.whole.split_text(text)

    def tokenize_phrases(self, text):
        return self.whole.tokenize_phrases(text)

    def detokenize(self, pieces):
        return self.whole.detokenize(pieces)

    def is_word_start(self, pieces):
        return self.whole.is_word_start(pieces)
