"""Tokenizers in a run directory: source.* and target.*."""

import json
from pathlib import Path

from keras_s2s.config import SubwordSampling
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically
from keras_s2s.tokenizers.base import Tokenizer
from keras_s2s.tokenizers.byte import Bytes
from keras_s2s.tokenizers.factors import Factors
from keras_s2s.tokenizers.features import Features
from keras_s2s.tokenizers.marian import Marian
from keras_s2s.tokenizers.multi_source import Sources
from keras_s2s.tokenizers.multilingual import Multilingual
from keras_s2s.tokenizers.pointer import Pointers
from keras_s2s.tokenizers.sentencepiece import SentencePiece
from keras_s2s.tokenizers.wordpiece import WordPiece
from keras_s2s.tokenizers.words import Characters, Whitespace, Words

__all__ = ["load", "load_pair", "save_pair"]

_LISTED = {kind.kind: kind for kind in (Characters, Whitespace, WordPiece, Words)}
_NEEDED = {
    Bytes.kind: {"size"},
    Factors.kind: {"size", "parts", "separator"},
    Features.kind: {"size"},
    Sources.kind: {"size", "parts", "separator", "count"},
    Pointers.kind: {"size", "of"},
    Marian.kind: {"size", "file", "vocabulary"},
    Multilingual.kind: {"size", "file", "vocabulary", "languages", "language"},
}
_KINDS = (*_LISTED, SentencePiece.kind, *_NEEDED)


def load(directory, name: str) -> Tokenizer:
    """The tokenizer that was saved as `name` in `directory`.

    Raises:
        UserError: a file is missing or damaged; the message names it.
    """
    directory = Path(directory)
    described = _description(directory / f"{name}.json")
    if "same_as" in described:
        return load(directory, described["same_as"])
    if described["kind"] == Pointers.kind:
        return Pointers(load(directory, described["of"]))
    if described["kind"] == Features.kind:
        return _frames(directory / f"{name}.json", described["size"])
    path = directory / described.get("file", f"{name}.json")
    try:
        if described["kind"] in (Factors.kind, Sources.kind):
            parts = [load(directory, f"{name}.{i}") for i in range(int(described["parts"]))]
            return _composite(described, parts)
        tokenizer = _make(described, path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, came: {error.strerror}") from None
    except UnicodeDecodeError as error:
        came = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise UserError(f"{path}: expected UTF-8, came {came}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if tokenizer.size != described["size"]:
        expected = f"expected {described['size']} ids as {name}.json says"
        raise UserError(f"{path}: {expected}, came {tokenizer.size}")
    return tokenizer


def _composite(described, parts):
    if described["kind"] == Factors.kind:
        made = Factors(parts, described["separator"])
    else:
        made = Sources(parts, described["separator"], described["count"])
    if made.size != described["size"]:
        raise ValueError(f"size: expected {described['size']}, came {made.size} of its parts")
    return made


def _frames(path, size):
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UserError(f"{path}: expected a size of at least 1, came {size!r}")
    return Features(size)


def save_pair(directory, source: Tokenizer, target: Tokenizer) -> None:
    """Writes a model's two tokenizers; where they are one object, target.json says so."""
    source.save(directory, "source")
    if target is not source:
        return target.save(directory, "target")
    return write_atomically(
        Path(directory) / "target.json", json.dumps({"same_as": "source"}) + "\n"
    )


def load_pair(directory) -> tuple[Tokenizer, Tokenizer]:
    """The (source, target) that `save_pair` wrote; a shared one is one object.

    Raises:
        UserError: a file is missing or damaged; the message names it.
    """
    source, described = load(directory, "source"), _description(Path(directory) / "target.json")
    if described.get("kind") == Pointers.kind:
        return source, Pointers(source)
    return source, source if "same_as" in described else load(directory, "target")


def _description(path) -> dict:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: expected a saved tokenizer, came: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, came: {error}") from None
    if not isinstance(described, dict) or not _complete(described):
        raise UserError(f"{path}: expected kind, size and file, or same_as, came {described!r}")
    return described


def _complete(described) -> bool:
    if "same_as" in described:
        return described["same_as"] == "source"
    if described.get("of", "source") != "source":
        return False
    kind = described.get("kind")
    return kind in _KINDS and _NEEDED.get(kind, {"size", "file"}) <= described.keys()


def _make(described, content: bytes) -> Tokenizer:
    kind, special = described["kind"], described.get("special_tokens", ())
    if kind == Bytes.kind:
        return Bytes(special)
    if kind == Marian.kind:
        return Marian(content, described["vocabulary"])
    if kind == Multilingual.kind:
        names = ("vocabulary", "languages", "language")
        return Multilingual(content, *(described[name] for name in names))
    if kind == SentencePiece.kind:
        sampling = described.get("sampling")
        return SentencePiece(content, special, SubwordSampling(**sampling) if sampling else None)
    return _LISTED[kind](content.decode().split("\n")[:-1], special)
