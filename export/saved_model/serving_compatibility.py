"""What a stock TensorFlow Serving could not run or batch, found in the graph before it runs."""

import tensorflow as tf

from keras_s2s.export.saved_model.compiled_search import XLA_ATTRIBUTE
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.verification.comparison import NotProven

__all__ = ["TEXT_OPERATIONS", "check_serving_compatibility", "iterate_nodes"]

# Of tensorflow_text, which the stock server links beside TensorFlow's own operations.
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
CALLBACKS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


def iterate_nodes(graph):
    """Every node of a MetaGraphDef with the name of the function that holds it, None outside."""
    yield from ((node, None) for node in graph.graph_def.node)
    for function in graph.graph_def.library.function:
        yield from ((node, function.signature.name) for node in function.node_def)


def check_serving_compatibility(path, xla=False) -> None:
    """Refuses a SavedModel that a stock server lacks something for.

    Args:
        path: its directory.
        xla: whether functions are compiled by XLA; then some must be.

    Raises:
        NotProven: naming an operation that is neither of TensorFlow nor of tensorflow_text, calls
            back into Python or needs XLA, with the function that holds it; or an input or output
            of a signature that has no batch as its first dimension.
    """
    graph = read_graph(path)
    functions = graph.graph_def.library.function
    own = {function.signature.name for function in functions}
    for node, holder in iterate_nodes(graph):
        problem = _problem(node, own, xla)
        if problem:
            where = f"function {holder}" if holder else "the graph"
            raise NotProven(f"operation {node.op} (node {node.name} of {where}): {problem}")
    if xla and not any(function.attr[XLA_ATTRIBUTE].b for function in functions):
        raise NotProven("xla: expected functions that XLA compiles, found none")
    for function in functions:
        if function.attr[XLA_ATTRIBUTE].b and not xla:
            raise NotProven(f"function {function.signature.name}: {_needs_xla()}")
    for name, signature in graph.signature_def.items():
        if not name.startswith("__"):
            _check_tensors(name, signature)


def _problem(node, own, xla):
    if node.op in CALLBACKS:
        return "a callback into Python, which no other process has"
    must = XLA_ATTRIBUTE in node.attr and node.attr[XLA_ATTRIBUTE].b
    if node.op.startswith("Xla") or (must and not xla):
        return _needs_xla()
    if node.op in own | TEXT_OPERATIONS or hasattr(tf.raw_ops, node.op):
        return None
    return "neither of TensorFlow nor of tensorflow_text: a stock server lacks it"


def _needs_xla():
    return "it must be compiled by XLA, which a stock server has off"


def _check_tensors(name, signature):
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for alias, info in sorted(tensors.items()):
            shape = info.tensor_shape
            if not shape.unknown_rank and shape.dim and shape.dim[0].size == -1:
                continue
            came = [dimension.size for dimension in shape.dim]
            came = "one of unknown rank" if shape.unknown_rank else came or "a scalar"
            expected = "expected the batch, of any size, as the first dimension"
            raise NotProven(f"signature {name}: {kind} {alias}: {expected}, came {came}")
