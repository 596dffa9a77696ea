"""Export of trained runs: SavedModels, LiteRT files and CTranslate2 models.

Names are imported on first access: `keep_newest` alone does not import TensorFlow.
"""

from keras_s2s.lazy_imports import lazy_attributes

_LAZY = {
    "NotProven": ".verification.comparison",
    "Variant": ".variant",
    "VerificationError": ".verification.comparison",
    "export_ctranslate2": ".ctranslate2.exporter",
    "export_litert": ".litert.exporter",
    "export_litert_translator": ".litert.exporter",
    "export_saved_model": ".saved_model.exporter",
    "export_translator": ".saved_model.exporter",
    "keep_newest": ".publishing",
}

__all__ = sorted(_LAZY)


__getattr__, __dir__ = lazy_attributes(__name__, _LAZY)
