"""Rewriting of exported loops: loops as function calls, weights read once before the loop.

TensorFlow's session lowers a `While` to seven kinds of small operations for every loop variable
and every weight that the loop reads, and tracks frames and iterations of each operation in it. A
search is sequential and gains nothing from that; at batch 1 the overhead exceeds the arithmetic.
When a loop stays a function call, its body is a graph without control flow. A body that calls no
other function runs in the calling thread, in a fixed order.
"""

from collections import Counter

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

__all__ = ["rewrite_loops"]

# Names of the attributes that hold the functions of each operation.
LOOPS = dict.fromkeys(("While", "StatelessWhile"), ("cond", "body"))
BRANCHES = dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch"))
CONTROL_FLOW = LOOPS | BRANCHES
CALLS = (
    *CONTROL_FLOW,
    "BatchFunction",
    "Case",
    "StatelessCase",
    "PartitionedCall",
    "StatefulPartitionedCall",
)
LOWERING_ATTRIBUTE = "_lower_using_switch_merge"
CPU = "/device:CPU:0"
EXECUTOR_ATTRIBUTE, SINGLE_THREADED = "_executor", b"SINGLE_THREADED_EXECUTOR"


def rewrite_loops(graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Turns the loops and branches of a graph into function calls on the CPU, in place.

    Weights are read before a loop instead of in every iteration. The results do not change: a
    served graph never assigns to a weight. All operations of a call run on the device of the call,
    and some operations of a search have no kernel for other devices; hence the CPU.

    Args:
        graph: graph of a SavedModel.
    """
    library = graph.graph_def.library.function
    functions = {f.signature.name: f for f in library}
    uses = Counter(
        value.func.name for f in library for node in f.node_def for value in node.attr.values()
    )
    visited = set()
    for function in library:
        _hoist_reads(function, functions, uses, visited)
    leaves = {name for name, f in functions.items() if _is_leaf(f, functions)}
    for nodes in (graph.graph_def.node, *(f.node_def for f in library)):
        _keep_as_calls(nodes, leaves)


def _is_leaf(function, functions):
    """Whether a function calls no other function.

    A function that does so waits for the other one: forever, if the session has a single thread.
    """
    return not any(node.op in CALLS or node.op in functions for node in function.node_def)


def _keep_as_calls(nodes, leaves):
    for node in nodes:
        if node.op in CONTROL_FLOW:
            node.attr[LOWERING_ATTRIBUTE].b = False
            node.device = CPU
        for part in CONTROL_FLOW.get(node.op, ()):
            if node.attr[part].func.name in leaves:
                node.attr[part].func.attr[EXECUTOR_ATTRIBUTE].s = SINGLE_THREADED


def _hoist_reads(function, functions, uses, visited):
    """Moves reads of variables out of the bodies of a function's loops, inner loops first."""
    if function.signature.name in visited:
        return
    visited.add(function.signature.name)
    for loop in [node for node in function.node_def if node.op in LOOPS]:
        body, cond = (functions[loop.attr[part].func.name] for part in ("body", "cond"))
        _hoist_reads(body, functions, uses, visited)
        if uses[body.signature.name] == uses[cond.signature.name] == 1:
            for index, argument in enumerate(body.signature.input_arg):
                reads = _reads_of(body, argument, body.signature.output_arg[index].name)
                if reads and argument.type == types_pb2.DT_RESOURCE:
                    _hoist_read(function, loop, index, body, cond, reads)


def _reads_of(body, argument, output):
    """The reads of a resource, if the body does nothing else with it; otherwise an empty list."""
    uses = [node for node in body.node_def if argument.name in node.input]
    is_invariant = body.ret[output] == argument.name
    return uses if is_invariant and all(node.op == "ReadVariableOp" for node in uses) else []


def _hoist_read(caller, loop, index, body, cond, reads):
    """Passes the value of a variable to a loop instead of the variable."""
    dtype = reads[0].attr["dtype"].type
    read = caller.node_def.add()
    read.CopyFrom(reads[0])
    read.name = f"{loop.name}/read_{index}"
    read.input[:] = [loop.input[index]]
    loop.input[index] = f"{read.name}:value:0"
    loop.attr["T"].list.type[index] = dtype
    loop.attr["output_shapes"].list.shape[index].unknown_rank = True
    loop.attr.pop("_output_shapes", None)
    loop.attr.pop("_read_only_resource_inputs", None)
    for function in (body, cond):
        function.signature.input_arg[index].type = dtype
        # The recorded shapes are those of the resource handle.
        function.arg_attr.pop(index, None)
        if "_input_shapes" in function.attr:
            function.attr["_input_shapes"].list.shape[index].unknown_rank = True
    body.signature.output_arg[index].type = dtype
    _replace_nodes(body, {node.name for node in reads}, body.signature.input_arg[index].name)


def _replace_nodes(body, names, argument):
    """Removes read operations from a function and uses an argument in place of their values."""
    values, controls = {f"{name}:value:0" for name in names}, {f"^{name}" for name in names}
    for node in body.node_def:
        inputs = [argument if x in values else x for x in node.input if x not in controls]
        node.input[:] = inputs
    for key, value in body.ret.items():
        if value in values:
            body.ret[key] = argument
    for key in [key for key, value in body.control_ret.items() if value in names]:
        del body.control_ret[key]
    remaining = [name for name in body.signature.control_output if name in body.control_ret]
    body.signature.control_output[:] = remaining
    nodes = [node for node in body.node_def if node.name not in names]
    del body.node_def[:]
    body.node_def.extend(nodes)
