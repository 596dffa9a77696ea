"""How the loops of an exported graph run: as calls of functions, over weights that are read once.

TensorFlow's session turns a `While` into seven kinds of small operations, for every tensor that a
loop carries and every weight that it reads, and then keeps the books of frames and iterations for
each operation in it. A search is a chain, which gains nothing by that, and at batch 1 spends more
time on it than on its arithmetic. Left as calls, a loop's body is a graph without control flow; one
that calls nothing itself runs in the thread that is there, in a fixed order.
"""

from collections import Counter

from tensorflow.core.framework import types_pb2

__all__ = ["replace_reads", "rewrite_loops"]

# Their functions, by the attributes that name them.
LOOPS = dict.fromkeys(("While", "StatelessWhile"), ("cond", "body"))
BRANCHES = dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch"))
FLOW = LOOPS | BRANCHES
CALLS = (
    *FLOW,
    "BatchFunction",
    "Case",
    "StatelessCase",
    "PartitionedCall",
    "StatefulPartitionedCall",
)
LOWERED = "_lower_using_switch_merge"
CPU = "/device:CPU:0"
EXECUTOR, SINGLE = "_executor", b"SINGLE_THREADED_EXECUTOR"


def rewrite_loops(graph):
    """Lets loops and branches of a served graph be calls, and reads weights before a loop.

    Values stay what they are: a served graph assigns to no weight. A call's operations all run
    where the call does, and not all of ours have kernels for other devices: so calls are for CPUs.

    Args:
        graph: MetaGraphDef, which is changed.
    """
    library = graph.graph_def.library.function
    functions = {f.signature.name: f for f in library}
    used = Counter(
        value.func.name for f in library for node in f.node_def for value in node.attr.values()
    )
    done = set()
    for function in library:
        _read_before_loops(function, functions, used, done)
    simple = {name for name, f in functions.items() if _is_simple(f, functions)}
    for nodes in (graph.graph_def.node, *(f.node_def for f in library)):
        _mark(nodes, simple)


def _is_simple(function, functions):
    """Whether a function calls no other.

    One that does would wait for it, with a single thread in the session's pool for ever.
    """
    return not any(node.op in CALLS or node.op in functions for node in function.node_def)


def _mark(nodes, simple):
    for node in nodes:
        if node.op in FLOW:
            node.attr[LOWERED].b = False
            node.device = CPU
        for part in FLOW.get(node.op, ()):
            if node.attr[part].func.name in simple:
                node.attr[part].func.attr[EXECUTOR].s = SINGLE


def _read_before_loops(function, functions, used, done):
    """Takes the reads of variables out of the bodies of a function's loops, inner loops first."""
    if function.signature.name in done:
        return
    done.add(function.signature.name)
    for loop in [node for node in function.node_def if node.op in LOOPS]:
        body, cond = (functions[loop.attr[part].func.name] for part in ("body", "cond"))
        _read_before_loops(body, functions, used, done)
        if used[body.signature.name] == used[cond.signature.name] == 1:
            for place, argument in enumerate(body.signature.input_arg):
                reads = _only_reads(body, argument, body.signature.output_arg[place].name)
                if reads and argument.type == types_pb2.DT_RESOURCE:
                    _read_before(function, loop, place, body, cond, reads)


def _only_reads(body, argument, output):
    """The reads of a resource that a body does nothing else with; else an empty list."""
    uses = [node for node in body.node_def if argument.name in node.input]
    unchanged = body.ret[output] == argument.name
    return uses if unchanged and all(node.op == "ReadVariableOp" for node in uses) else []


def _read_before(caller, loop, place, body, cond, reads):
    """Gives a loop the value of a variable in the place of the variable."""
    kind = reads[0].attr["dtype"].type
    read = caller.node_def.add()
    read.CopyFrom(reads[0])
    read.name = f"{loop.name}/read_{place}"
    read.input[:] = [loop.input[place]]
    loop.input[place] = f"{read.name}:value:0"
    loop.attr["T"].list.type[place] = kind
    loop.attr["output_shapes"].list.shape[place].unknown_rank = True
    loop.attr.pop("_output_shapes", None)
    loop.attr.pop("_read_only_resource_inputs", None)
    for function in (body, cond):
        function.signature.input_arg[place].type = kind
        # Shapes that were a handle's.
        function.arg_attr.pop(place, None)
        if "_input_shapes" in function.attr:
            function.attr["_input_shapes"].list.shape[place].unknown_rank = True
    body.signature.output_arg[place].type = kind
    replace_reads(body, {node.name for node in reads}, body.signature.input_arg[place].name)


def replace_reads(body, names, argument):
    """Removes nodes of one output from a body; `argument` stands for it."""
    values, controls = {f"{name}:value:0" for name in names}, {f"^{name}" for name in names}
    for node in body.node_def:
        inputs = [argument if x in values else x for x in node.input if x not in controls]
        node.input[:] = inputs
    for key, value in body.ret.items():
        if value in values:
            body.ret[key] = argument
    for key in [key for key, value in body.control_ret.items() if value in names]:
        del body.control_ret[key]
    left = [name for name in body.signature.control_output if name in body.control_ret]
    body.signature.control_output[:] = left
    nodes = [node for node in body.node_def if node.name not in names]
    del body.node_def[:]
    body.node_def.extend(nodes)
