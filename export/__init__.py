"""From a trained run to what a server or a device runs."""

from keras_s2s.export.comparing import NotProven
from keras_s2s.export.ctranslate2 import export_ctranslate2
from keras_s2s.export.publishing import keep_newest
from keras_s2s.export.saved_model import export_saved_model, export_translator

__all__ = [
    "NotProven",
    "export_ctranslate2",
    "export_saved_model",
    "export_translator",
    "keep_newest",
]
