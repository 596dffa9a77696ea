"""Description of a run or an export from its files, without running the model."""

from collections import Counter
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from keras_s2s.errors import UserError
from keras_s2s.export.model_card import describe_training_run, read_card
from keras_s2s.export.saved_model.compiled_search import XLA_ATTRIBUTE, XLA_SERVER_FLAG
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.saved_model.serving_compatibility import TEXT_OPERATIONS, iterate_nodes
from keras_s2s.tokenizers import load_pair

__all__ = ["describe_export", "describe_run"]

MOST_COMMON = 12  # kinds of operations that are listed


def describe_export(path: Path | str) -> dict[str, Any]:
    """Describes a SavedModel.

    Args:
        path: its directory.

    Returns:
        Files, signatures, operations and the model card, as JSON values.

    Raises:
        UserError: the SavedModel cannot be read.
    """
    path = Path(path)
    try:
        graph = read_graph(path)
    except (OSError, IndexError, DecodeError) as error:
        raise UserError(f"{path / 'saved_model.pb'}: expected a SavedModel: {error}") from None
    signatures = {
        name: _describe_signature(signature)
        for name, signature in sorted(graph.signature_def.items())
        if not name.startswith("__")
    }
    return {
        "path": str(path),
        "kind": "SavedModel",
        "files": _file_sizes(path),
        "signatures": signatures,
        "operations": _describe_operations(graph),
        "card": read_card(path) or {},
    }


def describe_run(path: Path | str, checkpoint: str = "best") -> dict[str, Any]:
    """Describes a run directory.

    Args:
        path: the run directory.
        checkpoint: `"best"` or `"last"`.

    Returns:
        Files, vocabularies and training facts, as JSON values.

    Raises:
        UserError: `path` is not a run directory, or a part of it is missing.
    """
    path = Path(path)
    card = describe_training_run(path, checkpoint)
    tokenizers = zip(("source", "target"), load_pair(path / "tokenizers"), strict=True)
    card["vocabularies"] = {
        side: {"kind": tokenizer.kind, "size": tokenizer.size} for side, tokenizer in tokenizers
    }
    files = {
        name: size
        for name, size in _file_sizes(path).items()
        if name.startswith((f"{checkpoint}/", "tokenizers/", "config"))
    }
    return {"path": str(path), "kind": "run", "files": files, "card": card}


def _file_sizes(path):
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.stat().st_size for file in files}


def _describe_signature(signature):
    return {
        "inputs": {
            name: _describe_tensor(info) | _describe_default(signature.defaults, name)
            for name, info in sorted(signature.inputs.items())
        },
        "outputs": {
            name: _describe_tensor(info) for name, info in sorted(signature.outputs.items())
        },
    }


def _describe_tensor(info):
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    return {"dtype": tf.as_dtype(info.dtype).name, "shape": shape}


def _describe_default(defaults, name):
    if name not in defaults:
        return {}
    value = tf.make_ndarray(defaults[name]).reshape(-1)[0]
    is_text = isinstance(value, bytes)
    return {"default": value.decode("utf-8", "replace") if is_text else value.item()}


def _describe_operations(graph):
    functions = graph.graph_def.library.function
    function_names = {function.signature.name for function in functions}
    compiled = sum(function.attr[XLA_ATTRIBUTE].b for function in functions)
    count = Counter(node.op for node, _ in iterate_nodes(graph) if node.op not in function_names)
    return {
        "nodes": sum(count.values()),
        "kinds": len(count),
        "functions": len(function_names),
        "loops": sum(count[name] for name in ("While", "StatelessWhile")),
        "of_tensorflow_text": sorted(set(count) & TEXT_OPERATIONS),
        "compiled_by_xla": compiled,
        "server_flag": XLA_SERVER_FLAG if compiled else None,
        "common": dict(count.most_common(MOST_COMMON)),
    }
