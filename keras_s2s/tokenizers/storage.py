"""Saved tokenizers of a run directory: source.* and target.*."""

import json
from pathlib import Path

from keras_s2s.config import Sampling
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

# tokenizers with a plain vocabulary file
_LIST_KINDS = {cls.kind: cls for cls in (Characters, Whitespace, WordPiece, Words)}
_REQUIRED_KEYS = {
    Bytes.kind: {"size"},
    Factors.kind: {"size", "parts", "separator"},
    Features.kind: {"size"},
    Sources.kind: {"size", "parts", "separator", "count"},
    Pointers.kind: {"size", "of"},
    Marian.kind: {"size", "file", "vocabulary"},
    Multilingual.kind: {"size", "file", "vocabulary", "languages", "language"},
}
_KINDS = (*_LIST_KINDS, SentencePiece.kind, *_REQUIRED_KEYS)


def load(directory: Path | str, name: str) -> Tokenizer | Features:
    """Loads the tokenizer that was saved as `name` in `directory`.

    Raises:
        UserError: A file is missing or damaged; the message names it.

    Example:

    >>> import tempfile
    >>> from keras_s2s import tokenizers
    >>> folder = tempfile.mkdtemp()
    >>> tokenizers.Whitespace(["a", "b"]).save(folder, "source")
    >>> tokenizers.load(folder, "source").vocabulary
    ('<pad>', '<unk>', '<s>', '</s>', 'a', 'b')
    """
    directory = Path(directory)
    description = _read_description(directory / f"{name}.json")
    if "same_as" in description:
        return load(directory, description["same_as"])
    if description["kind"] == Pointers.kind:
        return Pointers(load(directory, description["of"]))
    if description["kind"] == Features.kind:
        return _make_features(directory / f"{name}.json", description["size"])
    path = directory / description.get("file", f"{name}.json")
    try:
        if description["kind"] in (Factors.kind, Sources.kind):
            parts = [load(directory, f"{name}.{i}") for i in range(int(description["parts"]))]
            return _make_composite(description, parts)
        tokenizer = _make_tokenizer(description, path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: expected a vocabulary, got: {error.strerror}") from None
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise UserError(f"{path}: expected UTF-8, got {byte}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if tokenizer.size != description["size"]:
        expected = f"expected {description['size']} ids as {name}.json says"
        raise UserError(f"{path}: {expected}, got {tokenizer.size}")
    return tokenizer


def save_pair(directory: Path | str, source: Tokenizer, target: Tokenizer) -> None:
    """Writes the two tokenizers of a model; target.json refers to a shared one."""
    source.save(directory, "source")
    if target is not source:
        return target.save(directory, "target")
    return write_atomically(
        Path(directory) / "target.json", json.dumps({"same_as": "source"}) + "\n"
    )


def load_pair(directory: Path | str) -> tuple[Tokenizer, Tokenizer]:
    """Loads the (source, target) tokenizers of `save_pair`; a shared one is one object.

    Raises:
        UserError: A file is missing or damaged; the message names it.
    """
    source = load(directory, "source")
    description = _read_description(Path(directory) / "target.json")
    if description.get("kind") == Pointers.kind:
        return source, Pointers(source)
    return source, source if "same_as" in description else load(directory, "target")


def _read_description(path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: expected a saved tokenizer, got: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, got: {error}") from None
    if not isinstance(description, dict) or not _is_complete(description):
        raise UserError(f"{path}: expected kind, size and file, or same_as, got {description!r}")
    return description


def _is_complete(description) -> bool:
    if "same_as" in description:
        return description["same_as"] == "source"
    if description.get("of", "source") != "source":
        return False
    kind = description.get("kind")
    return kind in _KINDS and _REQUIRED_KEYS.get(kind, {"size", "file"}) <= description.keys()


def _make_composite(description, parts) -> Tokenizer:
    if description["kind"] == Factors.kind:
        tokenizer = Factors(parts, description["separator"])
    else:
        tokenizer = Sources(parts, description["separator"], description["count"])
    if tokenizer.size != description["size"]:
        expected = f"expected {description['size']}"
        raise ValueError(f"size: {expected}, got {tokenizer.size} from its parts")
    return tokenizer


def _make_features(path, size) -> Features:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UserError(f"{path}: expected a size of at least 1, got {size!r}")
    return Features(size)


def _make_tokenizer(description, content: bytes) -> Tokenizer:
    kind, special = description["kind"], description.get("special_tokens", ())
    if kind == Bytes.kind:
        return Bytes(special)
    if kind == Marian.kind:
        return Marian(content, description["vocabulary"])
    if kind == Multilingual.kind:
        names = ("vocabulary", "languages", "language")
        return Multilingual(content, *(description[name] for name in names))
    if kind == SentencePiece.kind:
        sampling = description.get("sampling")
        return SentencePiece(content, special, Sampling(**sampling) if sampling else None)
    return _LIST_KINDS[kind](content.decode().split("\n")[:-1], special)
