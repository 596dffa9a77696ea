"""Small LiteRT files: equal vectors lie in them once."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["parse_model", "serialize_model"]

ALIGNMENT = 16  # of constants, as the schema demands


def parse_model(content) -> schema.ModelT:
    """The model of a file's content as objects that may be changed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # the quantizer writes what is large behind the FlatBuffer
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def serialize_model(model) -> bytes:
    """The content of a file: without names of inner tensors, and equal vectors written once."""
    for graph in model.subgraphs:
        shown = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in shown:
                tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
    _drop_empty(model)
    builder = _Sharing(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Sharing(flatbuffers.Builder):
    """Writes a vector or string that it has written before as a reference to that one."""

    def __init__(self, size):
        super().__init__(size)
        self._known = {}

    def CreateNumpyVector(self, x):
        return self._once((x.dtype.str, x.tobytes()), lambda: self._vector(x))

    def CreateString(self, s, *rest, **named):
        create = super().CreateString
        return self._once(("string", s), lambda: create(s, *rest, **named))

    def _vector(self, x):
        if x.dtype != np.uint8:
            return super().CreateNumpyVector(x)
        self.StartVector(1, x.size, ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        return self.EndVector()

    def _once(self, key, create):
        if key not in self._known:
            self._known[key] = create()
        return self._known[key]


def _drop_empty(model):
    """Leaves the first alone of buffers without data, which every model begins with."""
    kept = [i for i, buffer in enumerate(model.buffers) if i == 0 or buffer.data is not None]
    numbers = {old: new for new, old in enumerate(kept)}
    model.buffers = [model.buffers[i] for i in kept]
    for tensor in (one for graph in model.subgraphs for one in graph.tensors):
        tensor.buffer = numbers.get(tensor.buffer, 0)
    for entry in model.metadata or ():
        entry.buffer = numbers[entry.buffer]
