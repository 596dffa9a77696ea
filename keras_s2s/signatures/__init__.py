"""The contract of served models: signatures, decoding options, requests and responses."""

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
from keras_s2s.signatures.responses import (
    Attention,
    Forecast,
    Hypothesis,
    Score,
    hard_alignment,
)

# Earlier names.
PENALTY = MAX_PENALTY
fields_of = signature_fields
pharaoh = hard_alignment
signatures_of = signatures_for

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
