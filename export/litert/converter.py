"""A LiteRT file from concrete functions, and what is written into it beside the model."""

import contextlib
import json
import sys
import tempfile

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


def convert(functions, variables, quantization="none", custom=False) -> bytes:
    """The content of a LiteRT file of built-in operations.

    Args:
        functions: concrete functions by the names of their signatures.
        variables: every `tf.Variable` that they read.
        quantization: of `QUANTIZATIONS`.
        custom: whether it may have others beside; see `check_operations` for which.

    Raises:
        UserError: naming the quantisation that needs a package which is not there, or the
            operations that LiteRT lacks.
    """
    recipe = _recipe(quantization)
    module = tf.Module()
    module.all = list(variables)  # a Keras variable's wrapper would be a second one
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=list(functions))
        converter.target_spec.supported_ops = BUILT_IN_ONLY
        converter.allow_custom_ops = custom
        if quantization in ("float16", "dynamic_int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # the converter's own class is no public name
            if type(error).__name__ != "ConverterError":
                raise
            raise UserError(f"format: LiteRT cannot run this model: {_complaint(error)}") from None
        made = parse_model(
            recipe(content)
        )  # the quantizer wants the names that `serialize_model` drops
        if quantization == "dynamic_int8":
            share_tied_embeddings(made)
        elif quantization in _RECIPES:
            quantize_embeddings(made)
        return serialize_model(made)


def _recipe(quantization):
    if quantization not in QUANTIZATIONS:
        expected = f"quantize: expected one of {', '.join(QUANTIZATIONS)}"
        raise UserError(f"{expected}, came {quantization!r}")
    if quantization not in _RECIPES:
        return lambda content: content
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        raise UserError(
            f"quantize: {quantization} needs the package ai-edge-quantizer, came none;"
            " float16 and dynamic_int8 need no further one; pip install 'keras-s2s[quantize]'"
        ) from None

    def run(content):
        made = quantizer.Quantizer(bytearray(content), getattr(recipe, _RECIPES[quantization])())
        with contextlib.redirect_stdout(sys.stderr):  # it tells of its progress
            return bytes(made.quantize().quantized_model)

    return run


def _complaint(error):
    lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
    return lines[0][-300:] if lines else str(error)[-300:]


def check_operations(content, allowed=()) -> dict:
    """How often a LiteRT file has each operation, by its built-in code, `CUSTOM` of any other.

    Args:
        allowed: names of operations that it may have beside.

    Raises:
        UserError: naming operations that are none of LiteRT's own, nor allowed.
    """
    model = schema.Model.GetRootAs(content)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    custom = {code.CustomCode().decode() for code in codes if code.CustomCode()}
    custom = sorted(custom - {*allowed})
    if custom:
        raise UserError(f"format: expected built-in operations alone, came {', '.join(custom)}")
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    counts = {}
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.OperatorsLength()):
            code = codes[graph.Operators(j).OpcodeIndex()]
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            counts[name] = counts.get(name, 0) + 1
    return counts


def add_metadata(content, entries: dict) -> bytes:
    """A LiteRT file with further entries of metadata.

    Args:
        content: the file.
        entries: by name, bytes, or what is written as JSON.
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
