"""Models by name: presets, and any encoder under any decoder under any head."""

from keras_s2s.models.builder import build
from keras_s2s.models.dtype_conversion import with_policy
from keras_s2s.models.kinds import KINDS
from keras_s2s.models.listing import count_parameters, listing, parts
from keras_s2s.models.presets import PAPERS, PRESETS
from keras_s2s.models.resolution import resolve

__all__ = [
    "KINDS",
    "PAPERS",
    "PRESETS",
    "build",
    "count_parameters",
    "listing",
    "parts",
    "resolve",
    "with_policy",
]
