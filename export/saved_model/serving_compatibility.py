"""Check that a stock TensorFlow Serving can run and batch an exported graph."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from keras_s2s.export.saved_model.compiled_search import XLA_ATTRIBUTE
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.verification.comparison import VerificationError

__all__ = ["TEXT_OPERATIONS", "check_serving_compatibility", "iterate_nodes"]

# Operations of tensorflow_text, which the stock server links in addition to TensorFlow's.
TEXT_OPERATIONS = frozenset(
    (
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TFText>BoiseTagsToOffsets",
        "TFText>ByteSplitByOffsets",
        "TFText>ByteSplitWithOffsets",
        "TFText>FastSentencepieceDetokenize",
        "TFText>FastSentencepieceTokenize",
        "TFText>FastWordpieceDetokenize",
        "TFText>NgramsStringJoin",
        "TFText>OffsetsToBoiseTags",
        "TFText>PhraseDetokenize",
        "TFText>RoundRobinGenerateMasks",
        "TFText>RoundRobinTrim",
        "TFText>Utf8Binarize",
        "TFText>WhitespaceTokenizeWithOffsetsV2",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    )
)
PYTHON_OPERATIONS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))
NEEDS_XLA = "it must be compiled by XLA, which a stock server has off"


def iterate_nodes(
    graph: meta_graph_pb2.MetaGraphDef,
) -> Iterator[tuple[node_def_pb2.NodeDef, str | None]]:
    """Every node of a graph with the name of the function that contains it, None outside."""
    yield from ((node, None) for node in graph.graph_def.node)
    for function in graph.graph_def.library.function:
        yield from ((node, function.signature.name) for node in function.node_def)


def check_serving_compatibility(path: Path | str, xla: bool = False) -> None:
    """Refuses a SavedModel that a stock server cannot run.

    Args:
        path: directory of the SavedModel.
        xla: whether functions may be compiled by XLA; then at least one must be.

    Raises:
        VerificationError: an operation belongs neither to TensorFlow nor to tensorflow_text, calls
            back into Python or needs XLA; or an input or output of a signature does not have the
            batch as its first dimension. The message names the operation and its function, or the
            signature and the tensor.
    """
    graph = read_graph(path)
    functions = graph.graph_def.library.function
    function_names = {function.signature.name for function in functions}
    for node, function_name in iterate_nodes(graph):
        problem = _find_problem(node, function_names, xla)
        if problem:
            where = f"function {function_name}" if function_name else "the graph"
            raise VerificationError(f"operation {node.op} (node {node.name} of {where}): {problem}")
    compiled = [f.signature.name for f in functions if f.attr[XLA_ATTRIBUTE].b]
    if xla and not compiled:
        raise VerificationError("xla: expected functions that XLA compiles, got none")
    if compiled and not xla:
        raise VerificationError(f"function {compiled[0]}: {NEEDS_XLA}")
    for name, signature in graph.signature_def.items():
        if not name.startswith("__"):
            _check_batch_dimension(name, signature)


def _find_problem(node, function_names, xla):
    if node.op in PYTHON_OPERATIONS:
        return "a callback into Python, which no other process has"
    must_compile = XLA_ATTRIBUTE in node.attr and node.attr[XLA_ATTRIBUTE].b
    if node.op.startswith("Xla") or (must_compile and not xla):
        return NEEDS_XLA
    if node.op in function_names | TEXT_OPERATIONS or hasattr(tf.raw_ops, node.op):
        return None
    return "neither of TensorFlow nor of tensorflow_text: a stock server lacks it"


def _check_batch_dimension(name, signature):
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for alias, info in sorted(tensors.items()):
            shape = info.tensor_shape
            if not shape.unknown_rank and shape.dim and shape.dim[0].size == -1:
                continue
            sizes = [dimension.size for dimension in shape.dim]
            actual = "one of unknown rank" if shape.unknown_rank else sizes or "a scalar"
            expected = "expected the batch, of any size, as the first dimension"
            raise VerificationError(f"signature {name}: {kind} {alias}: {expected}, got {actual}")
