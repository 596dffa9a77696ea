"""What an export holds."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import export_saved_model, export_translator
from keras_s2s.export.model_card import read_card
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.saved_model.warmup import WARMUP, read_requests
from keras_s2s.signatures.fields import SIGNATURES
from tests.export.tiny_models import make_translator

DECODING = Decoding(
    beam_size=3,
    num_hypotheses=2,
    no_repeat_ngram=3,
    disallowed=["a", "b c"],
    coverage_penalty=0.25,
    replace_unknown=True,
    max_length=20,
)


@pytest.fixture(scope="module")
def translator():
    return make_translator(DECODING, dictionary={"a": "b"})


@pytest.fixture(scope="module")
def published(translator, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    return export_translator(translator, directory)


def test_a_version_and_nothing_else_is_left(published):
    assert published.name == "1"
    assert sorted(path.name for path in published.parent.iterdir()) == ["1"]
    assert stat.S_IMODE(published.stat().st_mode) == 0o755


def test_signatures_names_types_and_defaults(published, translator):
    found = read_graph(published).signature_def
    for name, signature in SIGNATURES.items():
        for fields, given in (
            (signature.inputs, found[name].inputs),
            (signature.outputs, found[name].outputs),
        ):
            # No Transformer: without maps of the source and the target over themselves.
            fields = [field for field in fields if not field.is_optional]
            assert sorted(given) == sorted(field.name for field in fields)
            for field in fields:
                info = given[field.name]
                assert tf.as_dtype(info.dtype).name == field.dtype
                sizes = dict(zip(field.shape, (dim.size for dim in info.tensor_shape.dim)))
                assert len(info.tensor_shape.dim) == len(field.shape)
                # The maps of a model are as many as they are, all else is the request's.
                assert {sizes[axis] for axis in set(field.shape) - {"A"}} == {-1}
        defaults = found[name].defaults
        came = {key: tf.make_ndarray(value) for key, value in defaults.items()}
        own = {"beam_size": 3, "num_hypotheses": 2, "no_repeat_ngram": 3, "max_length": 20}
        own |= {"coverage_penalty": 0.25, "replace_unknown": True, "disallowed": "a\nb c"}
        for field in signature.inputs:
            if field.default is None:
                assert field.name not in came
                continue
            value = came.pop(field.name)
            assert value.dtype == tf.as_dtype(field.dtype).as_numpy_dtype
            expected = own.get(field.name, field.default)
            expected = expected.encode() if isinstance(expected, str) else expected
            assert value.tolist() == pytest.approx([expected])
        assert came == {}


def test_weights_are_stored_once(published, translator):
    size = (published / "variables" / "variables.data-00000-of-00001").stat().st_size
    weights = sum(4 * int(tf.size(weight)) for weight in translator.model.weights)
    assert size < weights * 1.5 + 20_000


def test_loops_are_calls_and_what_calls_nothing_runs_in_one_thread(published):
    library = {f.signature.name: f for f in read_graph(published).graph_def.library.function}
    flow = [n for f in library.values() for n in f.node_def if n.op.endswith(("While", "If"))]
    assert not any(node.attr["_lower_using_switch_merge"].b for node in flow)
    assert {node.device for node in flow} == {"/device:CPU:0"}  # all of a call runs where it does
    kinds = set()
    for node in flow:
        if "body" in node.attr:
            body = node.attr["body"].func
            ops = {inner.op for inner in library[body.name].node_def}
            calls = any(op.endswith(("While", "If", "PartitionedCall")) for op in ops)
            kinds.add(calls)
            assert "ReadVariableOp" not in ops  # once a request, and not at every step
            assert body.attr["_executor"].s == (b"" if calls else b"SINGLE_THREADED_EXECUTOR")
    assert kinds == {True, False}  # rows leave between phases, and within one nothing is called


@pytest.mark.slow
def test_loops_for_a_gpu_are_left_to_the_server(tmp_path, translator):
    path = export_translator(translator, tmp_path, gpu=True)
    library = read_graph(path).graph_def.library.function
    flow = [n for f in library for n in f.node_def if n.op.endswith(("While", "If"))]
    found = {(node.attr["_lower_using_switch_merge"].b, node.device) for node in flow}
    assert found == {(True, "")}


def test_requests_at_once_do_not_wait_for_each_other_in_one_thread(published):
    script = Path(__file__).parents[1] / "one_thread.py"
    command = [sys.executable, str(script), str(published), "24"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["24"]
    assert "tfg." not in done.stderr  # a graph whose functions and calls do not fit each other


def test_warm_up_requests_ask_every_signature_as_clients_do(published):
    asked = read_requests(published / WARMUP)
    assert {probe.signature for probe in asked} == set(SIGNATURES)
    assert any(probe.outputs and "alignment" not in probe.outputs for probe in asked)
    records = tf.data.TFRecordDataset(str(published / WARMUP)).as_numpy_iterator()
    for record in records:  # of the one kind that the server can run for this model
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"


def test_a_card_tells_what_was_exported(published, translator):
    card = read_card(published)
    weights = translator.model.weights
    assert card["sizes"]["parameters"] == sum(int(tf.size(weight)) for weight in weights)
    source = card["vocabularies"]["source"]
    assert (source["kind"], source["size"]) == ("whitespace", translator.source_tokenizer.size)
    assert source["tokens"][:2] == ["a", "b"]
    assert card["defaults"]["no_repeat_ngram"] == 3
    assert card["limits"] == translator.caps
    assert card["versions"]["tensorflow"] == tf.__version__
    text = (published / "assets.extra" / "model_card.md").read_text()
    assert "| no_repeat_ngram | 3 |" in text
    assert f"| tensorflow | {tf.__version__} |" in text


def test_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="none: expected a run directory"):
        export_saved_model(tmp_path / "none", tmp_path / "served")
    with pytest.raises(UserError, match="version: expected a positive integer, came 0"):
        export_saved_model(tmp_path / "none", tmp_path / "served", version=0)
    assert list(tmp_path.iterdir()) == []
