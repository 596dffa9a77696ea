"""Stores packed weights in a SavedModel, and lets its restore function unpack them."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from keras_s2s.export.saved_model.weight_quantization import QuantizedWeight
from keras_s2s.export.verification.session_worker import fingerprint

__all__ = ["store_quantized_weights"]

SCALE, LAST = "/.PACKED/SCALE", "/.PACKED/LAST"


def store_quantized_weights(path, graph, packed: dict | None) -> None:
    """Rewrites the variables of the SavedModel in the directory `path`, and changes its graph.

    The restore function of the graph, which TensorFlow Serving and a Session run, casts, scales
    and joins what it reads. `tf.saved_model.load` restores variables without it, and fails.

    Args:
        path: `pathlib.Path` of the directory.
        graph: its MetaGraphDef.
        packed: {`replay.stamp` of a weight: its `packing.Packed`}; other weights stay,
            and all without any.
    """
    if not packed:
        return
    prefix = path / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(prefix))
    tensors, recipes = {}, {}
    for name in reader.get_variable_to_shape_map():
        value = reader.get_tensor(name)
        one = packed.get(fingerprint(value)) if isinstance(value, np.ndarray) else None
        tensors[name] = value
        if one is not None:
            recipes[name] = one
            tensors |= _parts(name, one)
    _write_bundle(prefix, tensors)
    _unpack_in(_restore_function(graph), recipes)


def _parts(name, one: QuantizedWeight):
    parts = {name: one.values, name + SCALE: one.scale, name + LAST: one.last}
    return {key: value for key, value in parts.items() if value is not None}


def _write_bundle(prefix, tensors):
    """Beside the old files first: they are gone only when the new ones are whole."""
    beside = prefix.with_name("packed")
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(beside),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )
    for old in prefix.parent.glob(f"{prefix.name}.*"):
        old.unlink()
    for new in beside.parent.glob(f"{beside.name}.*"):
        new.rename(new.with_name(new.name.replace("packed", prefix.name, 1)))


def _restore_function(meta_graph):
    wanted = meta_graph.saver_def.restore_op_name
    (call,) = (node for node in meta_graph.graph_def.node if node.name == wanted)
    name = call.attr["f"].func.name
    (function,) = (f for f in meta_graph.graph_def.library.function if f.signature.name == name)
    return function


def _unpack_in(function, recipes):
    """Puts what unpacks each tensor between the RestoreV2 node and its readers."""
    (restore,) = (node for node in function.node_def if node.op == "RestoreV2")
    names = _strings(function, restore.input[1])
    kinds = restore.attr["dtypes"].list.type
    added, extra, results = [], {}, {}
    for name, one in recipes.items():
        number = names.index(name)
        read = f"{restore.name}:tensors:{number}"
        kinds[number] = tf.as_dtype(one.values.dtype).as_datatype_enum
        for suffix, value in ((SCALE, one.scale), (LAST, one.last)):
            if value is not None:
                extra[name + suffix] = f"{restore.name}:tensors:{len(names) + len(extra)}"
                kinds.append(tf.float32.as_datatype_enum)
        nodes, results[read] = _chain(f"unpack_{number}", read, one, extra, name)
        added += nodes
    for node in function.node_def:
        node.input[:] = [results.get(x, x) for x in node.input]
        node.attr.pop("_output_shapes", None)  # of three of them they are others now
    function.node_def.extend(added)
    _set_strings(function, restore.input[1], [*names, *extra])
    _set_strings(function, restore.input[2], [""] * (len(names) + len(extra)))


def _chain(name, source, one, extra, key):
    """The nodes that make float32 of what is stored, and what the last of them gives."""
    kinds = {"SrcT": tf.as_dtype(one.values.dtype), "DstT": tf.float32}
    nodes, result = [_node(name, "Cast", [source], **kinds)], f"{name}:y:0"
    if one.scale is not None:
        nodes.append(_node(f"{name}_scaled", "Mul", [result, extra[key + SCALE]], T=tf.float32))
        result = f"{name}_scaled:z:0"
    if one.last is not None:
        axis = _node(f"{name}_axis", "Const", [], dtype=tf.int32)
        axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        parts = [result, extra[key + LAST], f"{name}_axis:output:0"]
        joined = _node(f"{name}_joined", "ConcatV2", parts, T=tf.float32, Tidx=tf.int32)
        joined.attr["N"].i = 2
        nodes, result = [*nodes, axis, joined], f"{name}_joined:output:0"
    return nodes, result


def _node(name, op, inputs, **kinds):
    node = node_def_pb2.NodeDef(name=name, op=op, input=inputs)
    for attribute, kind in kinds.items():
        node.attr[attribute].type = kind.as_datatype_enum
    return node


def _constant(function, source):
    (node,) = (n for n in function.node_def if n.name == source.partition(":")[0])
    return node.attr["value"].tensor


def _strings(function, source):
    return [name.decode() for name in tf.make_ndarray(_constant(function, source)).ravel()]


def _set_strings(function, source, values):
    proto = tf.make_tensor_proto(values, tf.string, [len(values)])
    _constant(function, source).CopyFrom(proto)
