"""How the loops and branches of an exported graph run: as calls of functions.

TensorFlow's session turns a `While` into seven kinds of small operations, for every tensor that a
loop carries and every weight that it reads, and then keeps the books of frames and iterations for
each operation in it. A search is a chain, which gains nothing by that, and at batch 1 spends more
time on it than on its arithmetic. Left as calls, a loop's body is a graph without control flow; one
that calls nothing itself runs in the thread that is there, in a fixed order.
"""

from tensorflow.core.protobuf import saved_model_pb2

__all__ = ["call_loops"]

LOOPS, BRANCHES = ("While", "StatelessWhile"), ("If", "StatelessIf", "Case", "StatelessCase")
CALLS = (*LOOPS, *BRANCHES, "PartitionedCall", "StatefulPartitionedCall")
LOWERED = "_lower_using_switch_merge"
EXECUTOR, SINGLE = "_executor", b"SINGLE_THREADED_EXECUTOR"


def call_loops(path):
    """Makes the loops and branches of a SavedModel calls; values stay what they are.

    Only a function without calls gets the executor of a single thread: it would wait for what a
    call does, and with one thread in the session's pool for ever.

    Args:
        path: `pathlib.Path` of a `saved_model.pb`, which is written anew.
    """
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in model.meta_graphs:
        graph = meta_graph.graph_def
        functions = {f.signature.name: f for f in graph.library.function}
        simple = {name for name, f in functions.items() if not _calls(f, functions)}
        for nodes in (graph.node, *(f.node_def for f in functions.values())):
            _mark(nodes, simple)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _calls(function, functions):
    """Whether a function's operations call others."""
    return any(node.op in CALLS or node.op in functions for node in function.node_def)


def _mark(nodes, simple):
    for node in nodes:
        if node.op in LOOPS + BRANCHES:
            node.attr[LOWERED].b = False
        if node.op in LOOPS:
            for part in ("cond", "body"):
                if node.attr[part].func.name in simple:
                    node.attr[part].func.attr[EXECUTOR].s = SINGLE
