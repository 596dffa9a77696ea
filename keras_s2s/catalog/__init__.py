"""Models by name: presets, and any encoder under any decoder under any head."""

from keras_s2s.catalog.building import KINDS, build, resolve, with_policy
from keras_s2s.catalog.listing import count_parameters, listing, parts
from keras_s2s.catalog.presets import PAPERS, PRESETS

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
