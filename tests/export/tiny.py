"""The small model that the tests of exports share."""

from keras_s2s.config import TokenizerConfig
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models

SOURCES, TARGETS = "a b c d e f g h i", "a b c d e f g"


def tokenizers(sources=SOURCES, targets=TARGETS):
    """Those of the texts' letters."""
    letters = TokenizerConfig(kind="whitespace", size=None)
    return train(letters, [sources]), train(letters, [targets])


def make_translator(decoding, parts=("gru", "gru", "softmax"), **more):
    """A `Translator` of an untrained GRU, or of a model of other parts."""
    return Translator(models.make(*parts), *tokenizers(), decoding, **more)
