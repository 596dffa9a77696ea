"""Checkpoints: saving and coming back, and one model's weights in another.

A directory holds `checkpoint.json`, replaced whole as the last act of saving, and the `.keras`
file it names (weights and the optimizer's variables). Whoever reads goes by the manifest alone, so
a process killed at any moment leaves either the checkpoint before or the one after.
"""

from keras_s2s.checkpoints.averaging import average
from keras_s2s.checkpoints.named_weights import match_weights, named_weights
from keras_s2s.checkpoints.storage import (
    IMPORTED,
    MANIFEST,
    copy,
    exists,
    load,
    load_model,
    restore,
    save,
)
from keras_s2s.checkpoints.transfer import Vocabularies, transfer

__all__ = [
    "IMPORTED",
    "MANIFEST",
    "Vocabularies",
    "average",
    "copy",
    "exists",
    "load",
    "load_model",
    "match_weights",
    "named_weights",
    "restore",
    "save",
    "transfer",
]
