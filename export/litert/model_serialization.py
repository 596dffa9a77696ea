"""Parsing and serialization of LiteRT files, with equal vectors stored once."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["parse_model", "serialize_model"]

ALIGNMENT = 16  # bytes; the schema requires it for constants


def parse_model(content: bytes) -> schema.ModelT:
    """Parses the content of a LiteRT file into mutable objects."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # the quantizer writes large buffers after the FlatBuffer
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def serialize_model(model: schema.ModelT) -> bytes:
    """Serializes a model without names of inner tensors, and with equal vectors written once.

    Args:
        model: the model; its tensor names and empty buffers are removed in place.

    Returns:
        The content of a LiteRT file.
    """
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in named:
                tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
    _drop_empty_buffers(model)
    builder = _SharingBuilder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _SharingBuilder(flatbuffers.Builder):
    """Builder that writes a repeated vector or string as a reference to its first occurrence."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._offsets = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        return self._create_once((x.dtype.str, x.tobytes()), lambda: self._create_vector(x))

    def CreateString(self, s: str | bytes, *args: Any, **kwargs: Any) -> int:
        create = super().CreateString
        return self._create_once(("string", s), lambda: create(s, *args, **kwargs))

    def _create_vector(self, x):
        if x.dtype != np.uint8:
            return super().CreateNumpyVector(x)
        self.StartVector(1, x.size, ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        return self.EndVector()

    def _create_once(self, key: tuple, create: Callable[[], int]) -> int:
        if key not in self._offsets:
            self._offsets[key] = create()
        return self._offsets[key]


def _drop_empty_buffers(model):
    """Removes buffers without data, except the first one, with which every model begins."""
    indices = [i for i, buffer in enumerate(model.buffers) if i == 0 or buffer.data is not None]
    new_indices = {old: new for new, old in enumerate(indices)}
    model.buffers = [model.buffers[i] for i in indices]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = new_indices.get(tensor.buffer, 0)
    for entry in model.metadata or ():
        entry.buffer = new_indices[entry.buffer]
