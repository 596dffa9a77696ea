"""Tables that are looked up, in the int8 of a LiteRT file: a tied one lies there once."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["quantize_embeddings", "share_tied_embeddings"]

CODES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
_VERSIONS = {"DEQUANTIZE": 2, "MUL": 1}  # that take int8, and float32
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


def share_tied_embeddings(model):
    """Reads embeddings of int8 by the weights of the layer that is tied to them.

    The converter writes such a table twice: by one scale for look-ups, and by one for each row for
    the product, which the first may replace with a smaller error: a looked up row is multiplied
    by its own scale. Where a table has other users than that, it stays.
    """
    tied = _tied(model)
    for buffer, (scale, *others) in list(_tables(model)):
        if others:
            continue
        for other, scales in tied.items():
            if _same(_values(model, buffer), scale, _values(model, other), scales):
                lookups = _Lookups(model, buffer)
                if lookups.may_change():
                    lookups.replace(other, scales)
                break


def quantize_embeddings(model):
    """Reads embeddings of float32 by rows of int8, each with a scale of its own.

    They are the weights of a layer that is tied to them where it has such, else they are made here.
    """
    tied = _tied(model)
    for buffer, shape in list(_floats(model)):
        lookups = _Lookups(model, buffer)
        if not lookups.may_change():
            continue
        values = model.buffers[buffer].data.view(np.float32)
        for other, scales in tied.items():
            if _same(values, 0, _values(model, other), scales):
                break
        else:
            rows, scales = _narrowed(values.reshape(shape))
            other = len(model.buffers)
            model.buffers.append(schema.BufferT(data=rows.view(np.uint8).ravel()))
        lookups.replace(other, scales)


def _narrowed(values):
    """Floats [V, D] -> int8 [V, D] and the scales [V] that the rows are to be multiplied by."""
    most = np.abs(values).max(1)
    scales = (np.where(most > 0, most, 1) / 127).astype(np.float32)
    return np.round(values / scales[:, None]).astype(np.int8), scales


def _tied(model):
    """The scales of int8 matrices with one for each row, by their buffers."""
    return {buffer: scales for buffer, scales in _tables(model) if len(scales) > 1}


def _floats(model):
    """(number of a buffer, shape) of float32 matrices."""
    seen = {}
    for tensor in (one for graph in model.subgraphs for one in graph.tensors):
        data = model.buffers[tensor.buffer].data
        if tensor.type == FLOAT32 and data is not None and len(data) and len(tensor.shape) == 2:
            seen[tensor.buffer] = tuple(tensor.shape)
    return seen.items()


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
    """Whether two matrices are one, by one scale (0: not rounded) and by scales of rows."""
    if len(one) != len(other) or len(one) % len(scales):
        return False
    one, other = (x.reshape(len(scales), -1).astype(np.float32) for x in (one, other))
    apart = np.abs(one * (scale or 1) - other * scales[:, None])
    return bool((apart <= 0.505 * (scale + scales[:, None])).all())


class _Lookups:
    """All look-ups in one table, to be made by another's int8 rows and their scales."""

    def __init__(self, model, buffer):
        self.model, self.buffer, self.other, self.scales = model, buffer, None, None
        self.found = []  # (graph, operators to take out, what is looked up, what comes of it)
        self.carried = []  # (loop, the place of the table among what it carries)
        self.codes = {}
        for number, code in enumerate(model.operatorCodes):
            self.codes.setdefault(CODES[max(code.builtinCode, code.deprecatedBuiltinCode)], number)
        self.names = {number: name for name, number in self.codes.items()}

    def may_change(self):
        """Whether the table has no other use."""
        whole = all(
            self._follow(graph, number, ())
            for graph in self.model.subgraphs
            for number, tensor in enumerate(graph.tensors)
            if tensor.buffer == self.buffer
        )
        return whole and bool(self.found)

    def replace(self, other, scales):
        """Has them made by the buffer `other`, int8, and by the scales of its rows."""
        self.other, self.scales = other, scales
        for name in {"DEQUANTIZE", "MUL"} - {*self.codes}:
            self.codes[name] = len(self.model.operatorCodes)
            code = getattr(schema.BuiltinOperator, name)
            made = schema.OperatorCodeT(
                builtinCode=code, deprecatedBuiltinCode=code, version=_VERSIONS[name]
            )
            self.model.operatorCodes.append(made)
        self.model.buffers.append(schema.BufferT(data=self.scales.view(np.uint8)))
        for graph, out, ids, made in self.found:
            self._rewrite(graph, out, ids, made)
        for loop, place in sorted(self.carried, key=lambda one: -one[1]):
            self._uncarry(loop, place)
        for tensor in (one for graph in self.model.subgraphs for one in graph.tensors):
            if tensor.buffer == self.buffer:
                tensor.type, tensor.buffer, tensor.quantization = INT8, self.other, _by_one()
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
        carried = name == "WHILE" and graph.tensors[number].type == FLOAT32
        return carried and self._carry(graph, operator, number, before)

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
            opcodeIndex=self.codes[name],
            inputs=_whole(inputs),
            outputs=_whole([output]),
            builtinOptionsType=kind,
            builtinOptions=options,
        )


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
