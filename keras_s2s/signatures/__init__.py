"""The contract of served models: signatures, decoding options, requests and responses."""

from keras_s2s.lazy_imports import lazy_attributes
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
    "Attention": ".responses",
    "Forecast": ".responses",
    "Hypothesis": ".responses",
    "Score": ".responses",
    "hard_alignment": ".responses",
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


__getattr__, __dir__ = lazy_attributes(__name__, _LAZY, {"pharaoh": "hard_alignment"})
