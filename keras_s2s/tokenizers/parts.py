"""What tokenizers made of tokenizers share: their files."""

import json
from pathlib import Path

from keras_s2s.io import write_atomically

__all__ = ["save_parts"]


def save_parts(tokenizer, directory, name: str) -> None:
    """Writes NAME.0.*, NAME.1.*, ... into `directory`, then NAME.json."""
    for number, part in enumerate(tokenizer.parts):
        part.save(directory, f"{name}.{number}")
    described = {"kind": tokenizer.kind, "size": tokenizer.size, **tokenizer.settings()}
    write_atomically(Path(directory) / f"{name}.json", json.dumps(described, indent=2) + "\n")
