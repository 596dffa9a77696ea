"""LiteRT models on NumPy and ai-edge-litert, without TensorFlow."""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {"EdgeTranslator": ".translator"}  # other modules of this package need less

__all__ = ["EdgeTranslator"]

__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
