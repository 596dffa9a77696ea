"""Metadata of a LiteRT file: tokenizers, options and signatures, for hosts without TensorFlow."""

from typing import Any

import tensorflow as tf

from keras_s2s.config import SpecialIds
from keras_s2s.tokenizers import Tokenizer, sentencepiece_model
from keras_s2s.translator import Translator

__all__ = ["build_metadata", "describe_tokenizer"]

FORMAT = 1


def build_metadata(
    translator: Translator, graphs: dict[str, Any], custom: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Builds the metadata entries of a file.

    Args:
        translator: the exported translator.
        graphs: concrete functions by signature name.
        custom: names of custom operations by signature name.

    Returns:
        Bytes or JSON values by the name of the entry.
    """
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    special = SpecialIds()
    description = {
        "format": FORMAT,
        "copies": translator.model.supports_copy,
        "caps": translator.caps,
        "defaults": translator.defaults(),
        "dictionary": translator.dictionary,
        "special_ids": {n: getattr(special, n) for n in ("pad", "unknown", "start", "end")},
        "signatures": {name: _describe_signature(graph) for name, graph in graphs.items()},
    }
    for name, operations in custom.items():
        description["signatures"][name]["operations"] = operations
    entries = {}
    for side, tokenizer in zip(("source", "target"), tokenizers):
        if side == "target" and tokenizers[0] is tokenizers[1]:
            description[side] = {"same_as": "source"}
            continue
        description[side], files = describe_tokenizer(side, tokenizer)
        entries |= files
    return {"keras_s2s": description} | entries


def describe_tokenizer(side: str, tokenizer: Tokenizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describes a tokenizer.

    Args:
        side: `"source"` or `"target"`.
        tokenizer: its tokenizer.

    Returns:
        Its description, and the entries with its vocabulary and model, by name.
    """
    suffix, content = tokenizer.model_file() or ("", b"")
    description = {
        "kind": tokenizer.kind,
        "size": tokenizer.size,
        "special_tokens": list(tokenizer.special_tokens),
        "model": suffix == "model",
    }
    files = {f"keras_s2s.{side}.vocabulary": list(tokenizer.vocabulary)}
    if description["model"]:
        description["leading_spaces"] = sentencepiece_model.leading_spaces(
            sentencepiece_model.parse_model(content)
        )
        files[f"keras_s2s.{side}.model"] = content
    return description, files


def _describe_signature(graph):
    """Types and ranks of a concrete function's inputs and outputs."""
    specs = tf.nest.flatten(graph.structured_input_signature)
    inputs = {spec.name: spec for spec in specs if isinstance(spec, tf.TensorSpec)}
    parts = {"inputs": inputs, "outputs": graph.structured_outputs}
    return {
        part: {name: [x.dtype.name, x.shape.rank] for name, x in tensors.items()}
        for part, tensors in parts.items()
    }
