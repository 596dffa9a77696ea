"""Exports whose weights are constants of the graph, of a model with a shortlist too."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import export_translator
from keras_s2s.export.model_card import read_card
from keras_s2s.export.saved_model.freezing import LIMIT, check_size
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.saved_model.serving_compatibility import iterate_nodes
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.tiny_models import tokenizers

VARIABLES = {"VarHandleOp", "ReadVariableOp", "ResourceGather", "AssignVariableOp"}


def make(shortlist=None):
    model = models.make("pre", "pre", "tied")
    return Translator(
        model, *tokenizers(), Decoding(beam_size=3, max_length=6), shortlist=shortlist
    )


@pytest.mark.slow
def test_weights_are_constants_and_the_proof_holds(tmp_path):
    short = make(["f", "b", "c"])
    path = export_translator(short, tmp_path / "served", frozen=True)
    card = read_card(path)
    assert card["variant"] == {"batching": False, "frozen": True, "shortlist": 7}
    assert card["vocabularies"]["shortlist"]["tokens"] == ["b", "c", "f"]
    assert not (path / "variables").exists()
    graph = read_graph(path)
    called = {node.op for node, holder in iterate_nodes(graph) if holder is None}
    assert not called & VARIABLES
    constants = [
        tf.make_ndarray(n.attr["value"].tensor) for n in graph.graph_def.node if n.op == "Const"
    ]
    for table in short.tables.search:
        assert any(np.array_equal(table.numpy(), value) for value in constants)


def test_weights_beyond_what_a_file_may_hold():
    large = tf.TensorSpec([LIMIT // 4 + 1], tf.float32)  # what is looked at: shape and type
    with pytest.raises(UserError, match="frozen: expected weights of less than 2 GB, .*2.1 GB"):
        check_size([large])
    check_size([tf.TensorSpec([LIMIT // 4], tf.float32)])


def test_packed_weights_are_no_constants(tmp_path):
    with pytest.raises(UserError, match="frozen: expected float32, .* came int8"):
        export_translator(make(), tmp_path, frozen=True, weights="int8")
