"""Strings or vectors -> strings, or vectors: tokenizers, model and search as one."""

from keras_s2s.translator.forecaster import Forecaster
from keras_s2s.translator.loading import load_run
from keras_s2s.translator.signature_functions import END_MARK
from keras_s2s.translator.tracing import trace_function
from keras_s2s.translator.translator import Translator

__all__ = ["END_MARK", "Forecaster", "Translator", "load_run", "trace_function"]
