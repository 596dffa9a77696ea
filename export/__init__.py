"""Export of trained runs: SavedModels, LiteRT files and CTranslate2 models.

Names are imported on first access: `keep_newest` alone does not import TensorFlow.
"""

import importlib
from typing import Any

_LAZY = {
    "NotProven": "verification.comparison",
    "Variant": "variant",
    "VerificationError": "verification.comparison",
    "export_ctranslate2": "ctranslate2.exporter",
    "export_litert": "litert.exporter",
    "export_litert_translator": "litert.exporter",
    "export_saved_model": "saved_model.exporter",
    "export_translator": "saved_model.exporter",
    "keep_newest": "publishing",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
