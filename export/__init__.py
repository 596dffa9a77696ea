"""From a trained run to what a server or a device runs.

Names are loaded when they are first asked for: publishing alone needs no TensorFlow.
"""

import importlib

_ROOMS = {
    "VerificationError": "verification.comparison",
    "Variant": "variant",
    "export_ctranslate2": "ctranslate2.exporter",
    "export_litert": "litert.exporter",
    "export_litert_translator": "litert.exporter",
    "export_saved_model": "saved_model.exporter",
    "export_translator": "saved_model.exporter",
    "keep_newest": "publishing",
}

__all__ = sorted(_ROOMS)


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
