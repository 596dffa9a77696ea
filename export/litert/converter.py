"""Conversion of concrete functions to a LiteRT file, and metadata of the file."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_s2s.errors import UserError
from keras_s2s.export.litert.embedding_quantization import (
    quantize_embeddings,
    share_tied_embeddings,
)
from keras_s2s.export.litert.model_serialization import parse_model, serialize_model
from keras_s2s.export.variant import QUANTIZATIONS

__all__ = ["BUILT_IN_ONLY", "add_metadata", "check_operations", "convert"]

BUILT_IN_ONLY = [tf.lite.OpsSet.TFLITE_BUILTINS]
_RECIPES = {"weight_int8": "weight_only_wi8_afp32", "int4": "dynamic_wi4_afp32"}


def convert(
    functions: dict[str, Any],
    variables: Sequence[tf.Variable],
    quantization: str = "none",
    custom: bool = False,
) -> bytes:
    """Converts functions to a LiteRT file of built-in operations.

    Args:
        functions: concrete functions by signature name.
        variables: every `tf.Variable` that the functions read.
        quantization: one of `QUANTIZATIONS`.
        custom: whether other operations are allowed, see `check_operations`.

    Returns:
        The content of the file.

    Raises:
        UserError: the quantization needs a package that is not installed, or LiteRT lacks an
            operation.
    """
    quantize = _load_quantizer(quantization)
    module = tf.Module()
    module.all = list(variables)  # plain variables: a Keras wrapper would be stored a second time
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(module, directory, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(functions)
        )
        converter.target_spec.supported_ops = BUILT_IN_ONLY
        converter.allow_custom_ops = custom
        if quantization in ("float16", "dynamic_int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = _run_converter(converter)
    model = parse_model(quantize(content))  # the quantizer needs names that `serialize_model` drops
    if quantization == "dynamic_int8":
        share_tied_embeddings(model)
    elif quantization in _RECIPES:
        quantize_embeddings(model)
    return serialize_model(model)


def _run_converter(converter: tf.lite.TFLiteConverter) -> bytes:
    try:
        return converter.convert()
    except Exception as error:  # the converter's exception class is not public
        if type(error).__name__ != "ConverterError":
            raise
        lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
        message = lines[0] if lines else str(error)
        raise UserError(f"format: LiteRT cannot run this model: {message[-300:]}") from None


def _load_quantizer(quantization: str) -> Callable[[bytes], bytes]:
    """The function that quantizes a converted file; it does nothing where the converter does."""
    if quantization not in QUANTIZATIONS:
        expected = f"quantize: expected one of {', '.join(QUANTIZATIONS)}"
        raise UserError(f"{expected}, got {quantization!r}")
    if quantization not in _RECIPES:
        return lambda content: content
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        raise UserError(
            f"quantize: {quantization} needs the package ai-edge-quantizer, got none;"
            " float16 and dynamic_int8 need no additional package;"
            " pip install 'keras-s2s[quantize]'"
        ) from None

    def quantize(content: bytes) -> bytes:
        settings = getattr(recipe, _RECIPES[quantization])()
        with contextlib.redirect_stdout(sys.stderr):  # the quantizer prints its progress
            result = quantizer.Quantizer(bytearray(content), settings).quantize()
            return bytes(result.quantized_model)

    return quantize


def check_operations(content: bytes, allowed: Collection[str] = ()) -> dict[str, int]:
    """Counts the operations of a LiteRT file and refuses unexpected custom operations.

    Args:
        content: the file.
        allowed: names of custom operations that the file may contain.

    Returns:
        Number of nodes by the name of the built-in operation; `CUSTOM` for custom operations.

    Raises:
        UserError: the file contains other custom operations; the message names them.
    """
    model = schema.Model.GetRootAs(content)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    custom = {code.CustomCode().decode() for code in codes if code.CustomCode()}
    custom = sorted(custom - {*allowed})
    if custom:
        raise UserError(f"format: expected built-in operations alone, got {', '.join(custom)}")
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    counts = {}
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.OperatorsLength()):
            code = codes[graph.Operators(j).OpcodeIndex()]
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            counts[name] = counts.get(name, 0) + 1
    return counts


def add_metadata(content: bytes, entries: dict[str, Any]) -> bytes:
    """Adds metadata entries to a LiteRT file.

    Args:
        content: the file.
        entries: by name, bytes, or values that are written as JSON.

    Returns:
        The content of the new file.
    """
    model = parse_model(content)
    model.metadata = model.metadata or []
    for name, value in entries.items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        if not isinstance(value, bytes):
            value = json.dumps(value, ensure_ascii=False).encode()
        buffer.data = np.frombuffer(value, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return serialize_model(model)
