"""Text to pieces to ids and back, in the graph: fit, Translator and export share one code.

`train` makes a tokenizer from lines of text, `save_pair` and `load_pair` keep the two of a model
in its run directory. `Features` stands in the place of one where a side is real vectors. Each is a
`tf.Module` that tracks its own tables, so that whatever holds it can be exported and served.
"""

from keras_s2s.tokenizers.base import RESERVED_TOKENS, UNKNOWN, UNKNOWN_ID, Tokenizer
from keras_s2s.tokenizers.byte import Bytes
from keras_s2s.tokenizers.factors import Factors
from keras_s2s.tokenizers.features import Features
from keras_s2s.tokenizers.marian import Marian
from keras_s2s.tokenizers.multi_source import Sources
from keras_s2s.tokenizers.multilingual import Multilingual
from keras_s2s.tokenizers.pointer import Pointers
from keras_s2s.tokenizers.sentencepiece import SentencePiece
from keras_s2s.tokenizers.shortlist import Shortlist
from keras_s2s.tokenizers.storage import load, load_pair, save_pair
from keras_s2s.tokenizers.training import train
from keras_s2s.tokenizers.wordpiece import WordPiece
from keras_s2s.tokenizers.words import Characters, Whitespace, Words

__all__ = [
    "RESERVED_TOKENS",
    "UNKNOWN",
    "UNKNOWN_ID",
    "Bytes",
    "Characters",
    "Factors",
    "Features",
    "Marian",
    "Multilingual",
    "Pointers",
    "SentencePiece",
    "Shortlist",
    "Sources",
    "Tokenizer",
    "Whitespace",
    "WordPiece",
    "Words",
    "load",
    "load_pair",
    "save_pair",
    "train",
]
