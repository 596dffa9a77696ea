"""Tokenizers: text to tokens to ids and back, by ops in the graph.

`fit`, `Translator` and every export run the same ops. `train` makes a tokenizer from lines of
text; `save_pair` and `load_pair` keep the two tokenizers of a model in its run directory.
`Features` is the counterpart of a tokenizer for a side of real-valued sequences. Each tokenizer is
a `tf.Module` that tracks its lookup tables, so that an export of a model contains them.
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

# names of earlier versions
Frames = Features
SPECIAL_PIECES = RESERVED_TOKENS

__all__ = [
    "RESERVED_TOKENS",
    "SPECIAL_PIECES",
    "UNKNOWN",
    "UNKNOWN_ID",
    "Bytes",
    "Characters",
    "Factors",
    "Features",
    "Frames",
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
