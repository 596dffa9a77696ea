"""The contract of served models: signatures, their fields, and the values they return."""

from keras_s2s.signatures.caps import CAPS, MAX_PENALTY
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
from keras_s2s.signatures.responses import Attention, Forecast, Hypothesis, Score, hard_alignment

__all__ = [
    "ATTENTION",
    "CAPS",
    "FORECAST",
    "MAX_PENALTY",
    "MISSING_SCORE",
    "SAMPLE",
    "SCORE",
    "SERVING_DEFAULT",
    "SIGNATURES",
    "TRANSLATE",
    "Attention",
    "Field",
    "Forecast",
    "Hypothesis",
    "Score",
    "Signature",
    "hard_alignment",
    "signature_fields",
    "signatures_for",
]
