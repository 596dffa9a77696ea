"""Small LiteRT files: equal vectors lie in them once, and a tied table of int8 once."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["packed", "share_tables", "unpacked"]

ALIGNMENT = 16  # of constants, as the schema demands
CODES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


def unpacked(content) -> schema.ModelT:
    """The model of a file's content as objects that may be changed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # the quantizer writes what is large behind the FlatBuffer
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def packed(model) -> bytes:
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


def share_tables(model):
    """Reads embeddings by the weights of the layer that is tied to them, where both are int8.

    The converter writes such a table twice: by one scale for look-ups, and by one for each row for
    the product, which the first may replace with a smaller error: a looked up row is multiplied
    by its own scale. Where a table has other users than that, it stays.
    """
    weights = {buffer: scales for buffer, scales in _tables(model) if len(scales) > 1}
    for buffer, (scale, *others) in list(_tables(model)):
        if others:
            continue
        for other, scales in weights.items():
            if _same(_values(model, buffer), scale, _values(model, other), scales):
                _Lookups(model, buffer, other, scales).replace()
                break


def _tables(model):
    """(number of a buffer, scales) of int8 matrices, by one scale or one for each row."""
    seen = {}
    for tensor in (one for graph in model.subgraphs for one in graph.tensors):
        told = tensor.quantization
        if tensor.type == INT8 and told and told.scale is not None and len(tensor.shape) == 2:
            data = model.buffers[tensor.buffer].data
            rows = len(told.scale) in (1, tensor.shape[0]) and told.quantizedDimension == 0
            if rows and data is not None and len(data) and not np.any(told.zeroPoint):
                seen[tensor.buffer] = told.scale
    return seen.items()


def _values(model, buffer):
    return model.buffers[buffer].data.view(np.int8)


def _same(one, scale, other, scales):
    """Whether two buffers are one float matrix, rounded by one scale and by scales of rows."""
    if len(one) != len(other) or len(one) % len(scales):
        return False
    one, other = (x.reshape(len(scales), -1).astype(np.float32) for x in (one, other))
    apart = np.abs(one * scale - other * scales[:, None])
    return bool((apart <= 0.505 * (scale + scales[:, None])).all())


class _Lookups:
    """All look-ups in one table, to be made by another's int8 rows and their scales."""

    def __init__(self, model, buffer, other, scales):
        self.model, self.buffer, self.other, self.scales = model, buffer, other, scales
        self.found = []  # (graph, operators to take out, what is looked up, what comes of it)
        self.carried = []  # (loop, the place of the table among what it carries)
        self.codes = {}
        for number, code in enumerate(model.operatorCodes):
            self.codes.setdefault(CODES[max(code.builtinCode, code.deprecatedBuiltinCode)], number)
        self.names = {number: name for name, number in self.codes.items()}

    def replace(self):
        """Does it if it can be done everywhere."""
        graphs = self.model.subgraphs
        whole = all(
            self._follow(graph, number, ())
            for graph in graphs
            for number, tensor in enumerate(graph.tensors)
            if tensor.buffer == self.buffer
        )
        if not whole or not self.found:
            return
        if "MUL" not in self.codes:
            self.codes["MUL"] = len(self.model.operatorCodes)
            code = schema.BuiltinOperator.MUL
            made = schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code)
            self.model.operatorCodes.append(made)
        self.model.buffers.append(schema.BufferT(data=self.scales.view(np.uint8)))
        for graph, out, ids, made in self.found:
            self._rewrite(graph, out, ids, made)
        for loop, place in sorted(self.carried, key=lambda one: -one[1]):
            self._uncarry(loop, place)
        for tensor in (one for graph in graphs for one in graph.tensors):
            if tensor.buffer == self.buffer:
                tensor.buffer, tensor.quantization = self.other, _by_one()
        self.model.buffers[self.buffer].data = None

    def _follow(self, graph, number, before):
        """Notes all uses of a table, or of its float values; False where there is another one."""
        return all(self._note(graph, one, number, before) for one in _users(graph, number))

    def _note(self, graph, operator, number, before):
        name = self.names.get(operator.opcodeIndex)
        if name == "DEQUANTIZE" and not before:
            return self._follow(graph, operator.outputs[0], (operator,))
        if name == "GATHER":
            return operator.inputs[0] == number and self._gather(graph, operator, before)
        return name == "WHILE" and bool(before) and self._carry(graph, operator, number, before)

    def _gather(self, graph, operator, before):
        options = operator.builtinOptions
        if options and (options.axis or options.batchDims):
            return False
        made, out = operator.outputs[0], (operator, *before)
        if graph.tensors[made].type == INT8:
            users = _users(graph, made)
            if [self.names.get(one.opcodeIndex) for one in users] != ["DEQUANTIZE"]:
                return False
            made, out = users[0].outputs[0], (*out, users[0])
        self.found.append((graph, out, operator.inputs[1], made))
        return True

    def _carry(self, graph, loop, number, before):
        """Follows a table into a loop that hands it on as it is."""
        body, condition = self._parts(loop)
        for place in np.flatnonzero(loop.inputs == number):
            inner = body.inputs[place]
            if (
                inner != body.outputs[place]
                or _users(graph, loop.outputs[place])
                or loop.outputs[place] in graph.outputs
                or _users(condition, condition.inputs[place])
                or not self._follow(body, inner, before)
            ):
                return False
            self.carried.append((loop, place))
        return True

    def _parts(self, loop):
        about, graphs = loop.builtinOptions, self.model.subgraphs
        return graphs[about.bodySubgraphIndex], graphs[about.condSubgraphIndex]

    def _uncarry(self, loop, place):
        body, condition = self._parts(loop)
        for one in (loop, body):
            one.outputs = np.delete(one.outputs, place)
        for one in (loop, body, condition):
            one.inputs = np.delete(one.inputs, place)

    def _rewrite(self, graph, out, ids, made):
        like, size = graph.tensors[made], len(self.scales)
        width = len(_values(self.model, self.other)) // size
        narrow = {"shape": _one_wide(like.shape), "shapeSignature": _one_wide(like.shapeSignature)}
        same = {"shape": like.shape, "shapeSignature": like.shapeSignature}
        table = _add(graph, INT8, self.other, shape=_whole([size, width]))
        scales = _add(graph, FLOAT32, len(self.model.buffers) - 1, shape=_whole([size, 1]))
        rows, reals = _add(graph, INT8, **same), _add(graph, FLOAT32, **same)
        factors = _add(graph, FLOAT32, **narrow)
        new = [
            self._operator("GATHER", [table, ids], rows, schema.GatherOptionsT()),
            self._operator("DEQUANTIZE", [rows], reals, schema.DequantizeOptionsT()),
            self._operator("GATHER", [scales, ids], factors, schema.GatherOptionsT()),
            self._operator("MUL", [reals, factors], made, schema.MulOptionsT()),
        ]
        place = graph.operators.index(out[0])
        graph.operators[place:place] = new
        graph.operators = [one for one in graph.operators if one not in out]

    def _operator(self, name, inputs, output, options):
        kind = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        return schema.OperatorT(
            opcodeIndex=self.codes[name], inputs=_whole(inputs), outputs=_whole([output]),
            builtinOptionsType=kind, builtinOptions=options,
        )  # fmt: skip


def _users(graph, number):
    return [one for one in graph.operators if one.inputs is not None and number in one.inputs]


def _add(graph, kind, buffer=0, **about):
    told = _by_one() if kind == INT8 else None
    tensor = schema.TensorT(type=kind, buffer=buffer, quantization=told, hasRank=True, **about)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _by_one():
    return schema.QuantizationParametersT(
        scale=np.ones(1, np.float32), zeroPoint=np.zeros(1, np.int64)
    )


def _one_wide(shape):
    return None if shape is None else _whole([*shape[:-1], 1])


def _whole(values):
    return np.array(values, np.int32)
