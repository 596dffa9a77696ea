"""Weights as constants of a served graph: one file, and nothing to restore."""

import shutil

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.export.saved_model.loop_rewriting import replace_reads

__all__ = ["check_size", "freeze"]

LIMIT = 2**31 - 2**26  # bytes: what a protocol buffer may hold, with room for the graph itself
# Where the types of a node's inputs stand, and how many inputs come before the functions' own.
TYPES = {
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), (("Tin",), 0)),
    **dict.fromkeys(("If", "StatelessIf", "Case", "StatelessCase"), (("Tin",), 1)),
    **dict.fromkeys(("While", "StatelessWhile"), (("T",), 0)),
    "BatchFunction": (("Tin", "Tcaptured"), 0),
}


def check_size(variables) -> None:
    """Refuses, by a UserError, weights that are too large to be constants of one graph."""
    size = sum(int(v.shape.num_elements()) * v.dtype.size for v in variables)
    if size > LIMIT:
        most = "2 GB, all that the file of a graph may hold"
        raise UserError(f"frozen: expected weights of less than {most}, came {size / 1e9:.1f} GB")


def freeze(path, graph) -> None:
    """Puts the variables of the SavedModel in the directory `path` into its graph.

    The folder `variables` goes. TensorFlow Serving and a Session load what is left; the eager
    `tf.saved_model.load`, which makes variables of its own, does not.

    Args:
        path: `pathlib.Path` of the directory.
        graph: its MetaGraphDef, which is changed.
    """
    values = _values(path / "variables" / "variables", graph)
    _prune(graph)
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    kinds = {name: value.dtype for name, value in values.items()}
    _pass_values(graph.graph_def.node, kinds, functions, {})
    for node in graph.graph_def.node:
        if node.op == "VarHandleOp":
            proto = tf.make_tensor_proto(values[node.name])
            dtype = node.attr["dtype"].type
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = dtype
            node.attr["value"].tensor.CopyFrom(proto)
    graph.ClearField("saver_def")
    shutil.rmtree(path / "variables")


def _values(prefix, graph):
    """Arrays by the names of the graph's nodes of variables, as its restore function finds them."""
    library = {f.signature.name: f for f in graph.graph_def.library.function}
    wanted = graph.saver_def.restore_op_name
    (call,) = (node for node in graph.graph_def.node if node.name == wanted)
    function = library[call.attr["f"].func.name]
    nodes = {node.name: node for node in function.node_def}
    arguments = [argument.name for argument in function.signature.input_arg]
    reader, found = tf.train.load_checkpoint(str(prefix)), {}
    for node in function.node_def:
        if node.op == "AssignVariableOp":
            source = node.input[1]
            while nodes[source.partition(":")[0]].op == "Identity":
                source = nodes[source.partition(":")[0]].input[0]
            restore, _, place = source.partition(":tensors:")
            names = nodes[nodes[restore].input[1].partition(":")[0]].attr["value"].tensor
            key = tf.make_ndarray(names).ravel()[int(place)].decode()
            variable = call.input[arguments.index(node.input[0])]
            found[variable.partition(":")[0]] = reader.get_tensor(key)
    return found


def _prune(graph):
    """Drops what no signature needs: saving and restoring."""
    nodes = {node.name: node for node in graph.graph_def.node}
    tensors = [
        x for s in graph.signature_def.values() for x in (*s.inputs.values(), *s.outputs.values())
    ]
    waiting, kept = [info.name for info in tensors], set()
    while waiting:
        name = waiting.pop().lstrip("^").partition(":")[0]
        if name not in kept:
            kept.add(name)
            waiting += nodes[name].input
    left = [node for node in graph.graph_def.node if node.name in kept]
    del graph.graph_def.node[:]
    graph.graph_def.node.extend(left)


def _pass_values(nodes, kinds, functions, done):
    """Makes calls take values where they took variables.

    Args:
        nodes: of a graph or of a function.
        kinds: types by the names of what were variables there.
        functions: by name.
        done: {function: places} of the arguments that are values already; grows.
    """
    for node in nodes:
        if node.op not in TYPES:
            continue
        attributes, before = TYPES[node.op]
        places = {}
        for place, name in enumerate(node.input):
            name = name.removesuffix(":0")
            if name in kinds:
                places[place - before] = kinds[name]
                _set_type(node, attributes, place - before, kinds[name])
        node.attr.pop("_read_only_resource_inputs", None)
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if places and called.name in functions:
                    _take_values(functions[called.name], places, functions, done)


def _set_type(node, attributes, place, kind):
    for name in attributes:
        types = node.attr[name].list.type
        if place < len(types):
            types[place] = tf.as_dtype(kind).as_datatype_enum
            if "output_shapes" in node.attr and node.op.endswith("While"):
                node.attr["output_shapes"].list.shape[place].unknown_rank = True
            node.attr.pop("_output_shapes", None)
            return
        place -= len(types)


def _take_values(function, places, functions, done):
    """The same within a function, of whose arguments `places` are values."""
    places = {k: v for k, v in places.items() if k not in done.get(function.signature.name, ())}
    if not places:
        return
    done.setdefault(function.signature.name, set()).update(places)
    kinds = {}
    for place, kind in places.items():
        argument = function.signature.input_arg[place]
        argument.type = tf.as_dtype(kind).as_datatype_enum
        function.arg_attr.pop(place, None)  # shapes that were a handle's
        if "_input_shapes" in function.attr:
            function.attr["_input_shapes"].list.shape[place].unknown_rank = True
        for output in function.signature.output_arg:
            if function.ret[output.name] == argument.name:
                output.type = argument.type
        kinds[argument.name] = kind
        _read_directly(function, argument.name)
    _pass_values(function.node_def, kinds, functions, done)


def _read_directly(function, argument):
    """What reads a variable, or rows of one, takes its value."""
    reads = [n for n in function.node_def if n.op == "ReadVariableOp" and n.input[0] == argument]
    replace_reads(function, {node.name for node in reads}, argument)
    gathers = [n for n in function.node_def if n.op == "ResourceGather" and n.input[0] == argument]
    for node in gathers:
        axis = function.node_def.add(name=f"{node.name}/axis", op="Const")
        axis.attr["dtype"].type = tf.int32.as_datatype_enum
        axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        node.op = "GatherV2"
        node.input.insert(2, f"{axis.name}:output:0")
        node.attr["Tparams"].type = node.attr["dtype"].type
        node.attr["Taxis"].type = tf.int32.as_datatype_enum
        for name in ("dtype", "validate_indices", "_class"):
            node.attr.pop(name, None)
