"""Storage of quantized weights in a SavedModel, dequantized by its restore function."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from keras_s2s.export.saved_model.weight_quantization import QuantizedWeight
from keras_s2s.export.verification.session_worker import fingerprint
from keras_s2s.io import path_without_wildcards

__all__ = ["store_quantized_weights"]

SCALE, LAST = "/.PACKED/SCALE", "/.PACKED/LAST"  # suffixes of checkpoint keys


def store_quantized_weights(
    path: Path,
    graph: meta_graph_pb2.MetaGraphDef,
    quantized: dict[str, QuantizedWeight] | None,
) -> None:
    """Rewrites the variables of a SavedModel and changes its graph in place.

    The restore function of the graph, which TensorFlow Serving and a Session run, casts, scales
    and concatenates what it reads. `tf.saved_model.load` restores variables without this function
    and fails.

    Args:
        path: directory of the SavedModel.
        graph: its graph.
        quantized: {`session_worker.fingerprint` of a weight: its quantized form}. Other weights
            are stored as they are; nothing changes if it is empty or None.
    """
    if not quantized:
        return
    prefix = path / "variables" / "variables"
    tensors, replaced = _read_checkpoint(prefix), {}
    for name, value in list(tensors.items()):
        weight = quantized.get(fingerprint(value)) if isinstance(value, np.ndarray) else None
        if weight is not None:
            replaced[name] = weight
            tensors |= _stored_parts(name, weight)
    _write_checkpoint(prefix, tensors)
    _insert_dequantization(_find_restore_function(graph), replaced)


def _read_checkpoint(prefix: Path) -> dict[str, np.ndarray | bytes]:
    with path_without_wildcards(prefix.parent) as directory:
        reader = tf.train.load_checkpoint(str(directory / prefix.name))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def _stored_parts(name: str, weight: QuantizedWeight) -> dict[str, np.ndarray]:
    parts = {name: weight.values, name + SCALE: weight.scale, name + LAST: weight.last}
    return {key: value for key, value in parts.items() if value is not None}


def _write_checkpoint(prefix, tensors):
    """Writes the new files before the old ones are removed."""
    new_prefix = prefix.with_name("quantized")
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(new_prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )
    for old in prefix.parent.glob(f"{prefix.name}.*"):
        old.unlink()
    for new in new_prefix.parent.glob(f"{new_prefix.name}.*"):
        new.rename(new.with_name(new.name.replace(new_prefix.name, prefix.name, 1)))


def _find_restore_function(graph):
    restore_name = graph.saver_def.restore_op_name
    (call,) = (node for node in graph.graph_def.node if node.name == restore_name)
    name = call.attr["f"].func.name
    (function,) = (f for f in graph.graph_def.library.function if f.signature.name == name)
    return function


def _insert_dequantization(function, replaced):
    """Inserts operations between the RestoreV2 node and the readers of each quantized tensor."""
    (restore,) = (node for node in function.node_def if node.op == "RestoreV2")
    names = _read_strings(function, restore.input[1])
    dtypes = restore.attr["dtypes"].list.type
    added, extra, results = [], {}, {}
    for name, weight in replaced.items():
        index = names.index(name)
        source = f"{restore.name}:tensors:{index}"
        dtypes[index] = tf.as_dtype(weight.values.dtype).as_datatype_enum
        for suffix, value in ((SCALE, weight.scale), (LAST, weight.last)):
            if value is not None:
                extra[name + suffix] = f"{restore.name}:tensors:{len(names) + len(extra)}"
                dtypes.append(tf.float32.as_datatype_enum)
        nodes, results[source] = _dequantization_nodes(index, source, weight, extra, name)
        added += nodes
    for node in function.node_def:
        node.input[:] = [results.get(x, x) for x in node.input]
        node.attr.pop("_output_shapes", None)  # three kinds of nodes have other shapes now
    function.node_def.extend(added)
    _write_strings(function, restore.input[1], [*names, *extra])
    _write_strings(function, restore.input[2], [""] * (len(names) + len(extra)))


def _dequantization_nodes(index, source, weight, extra, key):
    """The nodes that compute a float32 weight from its stored parts, and their output."""
    name = f"dequantize_{index}"
    dtypes = {"SrcT": tf.as_dtype(weight.values.dtype), "DstT": tf.float32}
    nodes, output = [_make_node(name, "Cast", [source], **dtypes)], f"{name}:y:0"
    if weight.scale is not None:
        inputs = [output, extra[key + SCALE]]
        nodes.append(_make_node(f"{name}_scaled", "Mul", inputs, T=tf.float32))
        output = f"{name}_scaled:z:0"
    if weight.last is not None:
        axis = _make_node(f"{name}_axis", "Const", [], dtype=tf.int32)
        axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        inputs = [output, extra[key + LAST], f"{name}_axis:output:0"]
        dtypes = {"T": tf.float32, "Tidx": tf.int32}
        concat = _make_node(f"{name}_concat", "ConcatV2", inputs, **dtypes)
        concat.attr["N"].i = 2
        nodes, output = [*nodes, axis, concat], f"{name}_concat:output:0"
    return nodes, output


def _make_node(name, op, inputs, **dtypes):
    node = node_def_pb2.NodeDef(name=name, op=op, input=inputs)
    for attribute, dtype in dtypes.items():
        node.attr[attribute].type = dtype.as_datatype_enum
    return node


def _constant(function, source):
    (node,) = (n for n in function.node_def if n.name == source.partition(":")[0])
    return node.attr["value"].tensor


def _read_strings(function, source):
    return [name.decode() for name in tf.make_ndarray(_constant(function, source)).ravel()]


def _write_strings(function, source, values):
    proto = tf.make_tensor_proto(values, tf.string, [len(values)])
    _constant(function, source).CopyFrom(proto)
