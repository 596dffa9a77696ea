"""What a run or an export is, without running it."""

from collections import Counter
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from keras_s2s.errors import UserError
from keras_s2s.export.model_card import describe_training_run, read_card
from keras_s2s.export.saved_model.compiled_search import XLA_ATTRIBUTE, XLA_SERVER_FLAG
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.saved_model.serving_compatibility import TEXT_OPERATIONS, iterate_nodes
from keras_s2s.tokenizers import load_pair

__all__ = ["describe_export", "describe_run"]

COMMON = 12  # kinds of operations that are listed


def describe_export(path) -> dict:
    """Files, signatures, operations and the card of a SavedModel's directory, as JSON values.

    Raises:
        UserError: it cannot be read.
    """
    path = Path(path)
    try:
        graph = read_graph(path)
    except (OSError, IndexError, DecodeError) as error:
        raise UserError(f"{path / 'saved_model.pb'}: expected a SavedModel: {error}") from None
    signatures = {
        name: _signature(signature)
        for name, signature in sorted(graph.signature_def.items())
        if not name.startswith("__")
    }
    return {
        "path": str(path),
        "kind": "SavedModel",
        "files": _files(path),
        "signatures": signatures,
        "operations": _operations(graph),
        "card": read_card(path) or {},
    }


def describe_run(path, checkpoint="best") -> dict:
    """Files, vocabularies and figures of a run directory, as JSON values.

    Raises:
        UserError: this is no run directory, or a part of it is missing.
    """
    path = Path(path)
    card = describe_training_run(path, checkpoint)
    sides = zip(("source", "target"), load_pair(path / "tokenizers"), strict=True)
    card["vocabularies"] = {
        side: {"kind": tokenizer.kind, "size": tokenizer.size} for side, tokenizer in sides
    }
    files = {
        name: size
        for name, size in _files(path).items()
        if name.startswith((f"{checkpoint}/", "tokenizers/", "config"))
    }
    return {"path": str(path), "kind": "run", "files": files, "card": card}


def _files(path):
    found = sorted(one for one in path.rglob("*") if one.is_file())
    return {str(one.relative_to(path)): one.stat().st_size for one in found}


def _signature(signature):
    return {
        "inputs": {
            name: _tensor(info) | _default(signature.defaults, name)
            for name, info in sorted(signature.inputs.items())
        },
        "outputs": {name: _tensor(info) for name, info in sorted(signature.outputs.items())},
    }


def _tensor(info):
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = [None if one.size < 0 else one.size for one in info.tensor_shape.dim]
    return {"dtype": tf.as_dtype(info.dtype).name, "shape": shape}


def _default(defaults, name):
    if name not in defaults:
        return {}
    value = tf.make_ndarray(defaults[name]).reshape(-1)[0]
    plain = value.decode("utf-8", "replace") if isinstance(value, bytes) else value.item()
    return {"default": plain}


def _operations(graph):
    functions = graph.graph_def.library.function
    own = {function.signature.name for function in functions}
    compiled = sum(function.attr[XLA_ATTRIBUTE].b for function in functions)
    count = Counter(node.op for node, _ in iterate_nodes(graph) if node.op not in own)
    return {
        "nodes": sum(count.values()),
        "kinds": len(count),
        "functions": len(own),
        "loops": sum(count[name] for name in ("While", "StatelessWhile")),
        "of_tensorflow_text": sorted(set(count) & TEXT_OPERATIONS),
        "compiled_by_xla": compiled,
        "server_flag": XLA_SERVER_FLAG if compiled else None,
        "common": dict(count.most_common(COMMON)),
    }
