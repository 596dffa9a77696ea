"""Checkpoints: saving, restoring, averaging, and transfer of weights between models.

A checkpoint directory holds a `.keras` file (weights and optimizer variables) and the manifest
`checkpoint.json`, which names that file. The manifest is replaced atomically as the last step of
saving, and readers follow the manifest only, so a process killed at any moment leaves either the
previous checkpoint or the new one.
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
    remove,
    restore,
    save,
)
from keras_s2s.checkpoints.transfer import TransferResult, Vocabularies, transfer

pick = match_weights  # the name of the first edition, kept importable

__all__ = [
    "IMPORTED",
    "MANIFEST",
    "TransferResult",
    "Vocabularies",
    "average",
    "copy",
    "exists",
    "load",
    "load_model",
    "match_weights",
    "named_weights",
    "remove",
    "restore",
    "save",
    "transfer",
]
