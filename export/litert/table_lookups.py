"""Lookups of an embedding table in a LiteRT model, and their replacement by int8 lookups."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["FLOAT32", "INT8", "TableLookups"]

OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}
VERSIONS = {"DEQUANTIZE": 2, "MUL": 1}  # versions that take int8 and float32
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


class TableLookups:
    """All lookups in one table.

    Args:
        model: the model.
        buffer: index of the table's buffer.
    """

    def __init__(self, model: schema.ModelT, buffer: int) -> None:
        self.model, self.buffer = model, buffer
        self.gathers = []  # (subgraph, operators to remove, tensor of ids, tensor of rows)
        self.loop_inputs = []  # (WHILE operator, index of the table among its inputs)
        self.opcodes = {}
        for index, code in enumerate(model.operatorCodes):
            name = OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
            self.opcodes.setdefault(name, index)
        self.names = {index: name for name, index in self.opcodes.items()}

    def are_replaceable(self) -> bool:
        """Finds all uses of the table; whether there are lookups and no other uses."""
        only_lookups = all(
            self._follow(graph, index, ())
            for graph in self.model.subgraphs
            for index, tensor in enumerate(graph.tensors)
            if tensor.buffer == self.buffer
        )
        return only_lookups and bool(self.gathers)

    def replace(self, rows_buffer: int, scales: np.ndarray) -> None:
        """Replaces the lookups by lookups of int8 rows and of their scales.

        Args:
            rows_buffer: index of the buffer of int8 rows.
            scales: float32 [V], one for each row.
        """
        for name in {"DEQUANTIZE", "MUL"} - {*self.opcodes}:
            self.opcodes[name] = len(self.model.operatorCodes)
            code = getattr(schema.BuiltinOperator, name)
            operator_code = schema.OperatorCodeT(
                builtinCode=code, deprecatedBuiltinCode=code, version=VERSIONS[name]
            )
            self.model.operatorCodes.append(operator_code)
        self.model.buffers.append(schema.BufferT(data=scales.view(np.uint8)))
        for gather in self.gathers:
            self._replace_gather(*gather, rows_buffer, len(scales))
        for loop, index in sorted(self.loop_inputs, key=lambda entry: -entry[1]):
            self._remove_loop_input(loop, index)
        for tensor in (tensor for graph in self.model.subgraphs for tensor in graph.tensors):
            if tensor.buffer == self.buffer:
                tensor.type, tensor.buffer, tensor.quantization = INT8, rows_buffer, _unit_scale()
        self.model.buffers[self.buffer].data = None

    def _follow(self, graph, tensor, dequantization):
        """Records all uses of a table or of its float values; False if one is not a lookup."""
        users = _users(graph, tensor)
        return all(self._record(graph, operator, tensor, dequantization) for operator in users)

    def _record(self, graph, operator, tensor, dequantization):
        name = self.names.get(operator.opcodeIndex)
        if name == "DEQUANTIZE" and not dequantization:
            return self._follow(graph, operator.outputs[0], (operator,))
        if name == "GATHER":
            is_table = operator.inputs[0] == tensor
            return is_table and self._record_gather(graph, operator, dequantization)
        is_loop_input = name == "WHILE" and graph.tensors[tensor].type == FLOAT32
        return is_loop_input and self._record_loop(graph, operator, tensor, dequantization)

    def _record_gather(self, graph, operator, dequantization):
        options = operator.builtinOptions
        if options and (options.axis or options.batchDims):
            return False
        rows, removed = operator.outputs[0], (operator, *dequantization)
        if graph.tensors[rows].type == INT8:
            users = _users(graph, rows)
            if [self.names.get(user.opcodeIndex) for user in users] != ["DEQUANTIZE"]:
                return False
            rows, removed = users[0].outputs[0], (*removed, users[0])
        self.gathers.append((graph, removed, operator.inputs[1], rows))
        return True

    def _record_loop(self, graph, loop, tensor, dequantization):
        """Follows a table into a loop that passes it on unchanged."""
        body, condition = self._loop_graphs(loop)
        for index in np.flatnonzero(loop.inputs == tensor):
            argument = body.inputs[index]
            if (
                argument != body.outputs[index]
                or _users(graph, loop.outputs[index])
                or loop.outputs[index] in graph.outputs
                or _users(condition, condition.inputs[index])
                or not self._follow(body, argument, dequantization)
            ):
                return False
            self.loop_inputs.append((loop, index))
        return True

    def _loop_graphs(self, loop):
        options, graphs = loop.builtinOptions, self.model.subgraphs
        return graphs[options.bodySubgraphIndex], graphs[options.condSubgraphIndex]

    def _remove_loop_input(self, loop, index):
        body, condition = self._loop_graphs(loop)
        for owner in (loop, body):
            owner.outputs = np.delete(owner.outputs, index)
        for owner in (loop, body, condition):
            owner.inputs = np.delete(owner.inputs, index)

    def _replace_gather(self, graph, removed, ids, result, rows_buffer, vocabulary_size):
        like = graph.tensors[result]
        width = len(self.model.buffers[rows_buffer].data) // vocabulary_size
        row_shape = {"shape": like.shape, "shapeSignature": like.shapeSignature}
        scale_shape = {name: _with_last_axis_one(shape) for name, shape in row_shape.items()}
        table = _add_tensor(graph, INT8, rows_buffer, shape=_int32([vocabulary_size, width]))
        scales_buffer = len(self.model.buffers) - 1
        scales = _add_tensor(graph, FLOAT32, scales_buffer, shape=_int32([vocabulary_size, 1]))
        rows, reals = (
            _add_tensor(graph, INT8, **row_shape),
            _add_tensor(graph, FLOAT32, **row_shape),
        )
        factors = _add_tensor(graph, FLOAT32, **scale_shape)
        operators = [
            self._make_operator("GATHER", [table, ids], rows, schema.GatherOptionsT()),
            self._make_operator("DEQUANTIZE", [rows], reals, schema.DequantizeOptionsT()),
            self._make_operator("GATHER", [scales, ids], factors, schema.GatherOptionsT()),
            self._make_operator("MUL", [reals, factors], result, schema.MulOptionsT()),
        ]
        position = graph.operators.index(removed[0])
        graph.operators[position:position] = operators
        graph.operators = [operator for operator in graph.operators if operator not in removed]

    def _make_operator(self, name, inputs, output, options):
        return schema.OperatorT(
            opcodeIndex=self.opcodes[name],
            inputs=_int32(inputs),
            outputs=_int32([output]),
            builtinOptionsType=getattr(schema.BuiltinOptions, type(options).__name__[:-1]),
            builtinOptions=options,
        )


def _users(graph, tensor):
    return [
        operator
        for operator in graph.operators
        if operator.inputs is not None and tensor in operator.inputs
    ]


def _add_tensor(graph, dtype, buffer=0, **shape):
    quantization = _unit_scale() if dtype == INT8 else None
    tensor = schema.TensorT(
        type=dtype, buffer=buffer, quantization=quantization, hasRank=True, **shape
    )
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _unit_scale():
    return schema.QuantizationParametersT(
        scale=np.ones(1, np.float32), zeroPoint=np.zeros(1, np.int64)
    )


def _with_last_axis_one(shape):
    return None if shape is None else _int32([*shape[:-1], 1])


def _int32(values):
    return np.array(values, np.int32)
