"""The small model that the tests of exports share."""

from keras_s2s.config import ModelConfig, TokenizerConfig
from keras_s2s.models import KINDS, resolve
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models

WIDTH, LARGE = 16, 32
SMALL = {"num_heads": 2, "num_layers": 2}
SOURCES, TARGETS = "a b c d e f g h i", "a b c d e f g"


def tokenizers(sources=SOURCES, targets=TARGETS):
    """Those of the texts' letters."""
    letters = TokenizerConfig(kind="whitespace", size=None)
    return train(letters, [sources]), train(letters, [targets])


def make_translator(decoding, parts=("gru", "gru", "softmax"), **more):
    """A `Translator` of an untrained GRU, or of a model of other parts."""
    return Translator(models.make(*parts), *tokenizers(), decoding, **more)


def shrink_preset(preset):
    """The preset with every size tiny, whatever its parts call it."""
    found = resolve(ModelConfig(preset=preset))
    parts = {
        part: {key: _small(key, value) for key, value in found[part].items()} for part in KINDS
    }
    return ModelConfig(embedding=WIDTH, tie=found["tie"], **parts)


def _small(key, value):
    if isinstance(value, dict):
        return {key: _small(key, inner) for key, inner in value.items()}
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return min(value, SMALL[key]) if key in SMALL else WIDTH if value >= LARGE else value
