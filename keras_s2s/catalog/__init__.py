"""Models by name: presets, and any encoder under any decoder under any head."""

from keras_s2s.catalog.building import KINDS, build, resolve, with_policy
from keras_s2s.catalog.presets import PRESETS

__all__ = ["KINDS", "PRESETS", "build", "resolve", "with_policy"]
