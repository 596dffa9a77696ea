"""Strings or vectors -> strings, or vectors: tokenizers, model and search as one."""

from keras_s2s.translator.base import Translator
from keras_s2s.translator.forecaster import Forecaster
from keras_s2s.translator.graphs import END_MARK
from keras_s2s.translator.opening import load_run
from keras_s2s.translator.tracing import traced

__all__ = ["END_MARK", "Forecaster", "Translator", "load_run", "traced"]
