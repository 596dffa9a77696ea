"""The contract of served models: signatures, decoding options, requests and responses."""

import importlib
from typing import Any

from keras_s2s.signatures.caps import CAPS, MAX_PENALTY
from keras_s2s.signatures.decoding_option import DecodingOption
from keras_s2s.signatures.fields import (
    ATTENTION,
    FORECAST,
    MISSING_SCORE,
    SAMPLE,
    SCORE,
    SERVING_DEFAULT,
    SIGNATURES,
    TRANSLATE,
    Field,
    Signature,
    signature_fields,
    signatures_for,
)
from keras_s2s.signatures.options import OPTIONS

# Earlier names.
PENALTY = MAX_PENALTY
fields_of = signature_fields
signatures_of = signatures_for

# Imported on first access: these modules need NumPy, the help of the command line does not.
_LAZY = {
    "Attention": "responses",
    "Forecast": "responses",
    "Hypothesis": "responses",
    "Score": "responses",
    "hard_alignment": "responses",
}

__all__ = [
    "ATTENTION",
    "CAPS",
    "FORECAST",
    "MAX_PENALTY",
    "MISSING_SCORE",
    "OPTIONS",
    "PENALTY",
    "SAMPLE",
    "SCORE",
    "SERVING_DEFAULT",
    "SIGNATURES",
    "TRANSLATE",
    "Attention",
    "DecodingOption",
    "Field",
    "Forecast",
    "Hypothesis",
    "Score",
    "Signature",
    "fields_of",
    "hard_alignment",
    "pharaoh",
    "signature_fields",
    "signatures_for",
    "signatures_of",
]


def __getattr__(name: str) -> Any:
    attribute = "hard_alignment" if name == "pharaoh" else name  # the earlier name
    if attribute not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[attribute]}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
