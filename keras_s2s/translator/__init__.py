"""Strings -> strings: tokenizers, model and search as one."""

from keras_s2s.translator.base import Translator
from keras_s2s.translator.graphs import END_MARK

__all__ = ["END_MARK", "Translator"]
