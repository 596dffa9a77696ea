"""Publishing an export: complete or not at all, and never over another."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.config import Decoding, TokenizerConfig, UserError
from keras_s2s.export import export_saved_model, export_translator
from keras_s2s.signatures import SIGNATURES
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models


@pytest.fixture(scope="module")
def translator():
    letters = TokenizerConfig(kind="whitespace", size=None)
    source, target = train(letters, ["a b c d e f g h i"]), train(letters, ["a b c d e f g"])
    model = models.make("gru", "gru", "softmax")
    return Translator(model, source, target, Decoding(beam_size=3, max_length=20))


class Light:
    """A translator for what is said of publishing alone: the same names, and nothing behind."""

    def __init__(self, translator):
        self.tables, self.defaults = translator.tables, translator.defaults

    def prepare(self):
        return []

    def graphs(self):
        return {name: lambda text, *columns: {"text": text} for name in SIGNATURES}


@pytest.fixture
def light(translator):
    return Light(translator)


@pytest.fixture(scope="module")
def published(translator, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    return export_translator(translator, directory)


def meta_graph(path):
    data = (path / "saved_model.pb").read_bytes()
    return saved_model_pb2.SavedModel.FromString(data).meta_graphs[0]


def test_the_next_version_is_published_and_nothing_else(published, light):
    assert published.name == "1"
    assert sorted(path.name for path in published.parent.iterdir()) == ["1"]
    assert stat.S_IMODE(published.stat().st_mode) == 0o755
    (published.parent / "41").mkdir()
    (published.parent / "43.old").mkdir()
    assert export_translator(light, published.parent).name == "42"


def test_signatures_names_types_and_defaults(published, translator):
    found = meta_graph(published).signature_def
    for name, signature in SIGNATURES.items():
        for fields, given in (
            (signature.inputs, found[name].inputs),
            (signature.outputs, found[name].outputs),
        ):
            # No Transformer: without maps of the source and the target over themselves.
            fields = [field for field in fields if not field.optional]
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
        own = {"beam_size": 3, "max_length": 20}
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


def test_a_runs_options_are_the_defaults_of_its_signatures(translator, tmp_path):
    decoding = Decoding(
        beam_size=4, num_hypotheses=2, no_repeat_ngram=3, disallowed=["a", "b c"],
        coverage_penalty=0.25, replace_unknown=True, max_length=7,
    )  # fmt: skip
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    other = Light(Translator(translator.model, *tokenizers, decoding, dictionary={"a": "b"}))
    found = meta_graph(export_translator(other, tmp_path)).signature_def
    came = {key: tf.make_ndarray(x).tolist() for key, x in found["translate"].defaults.items()}
    assert came["disallowed"] == [b"a\nb c"]
    expected = {"beam_size": 4, "num_hypotheses": 2, "no_repeat_ngram": 3, "max_length": 7,
                "coverage_penalty": 0.25, "replace_unknown": True}  # fmt: skip
    assert {key: came[key] for key in expected} == {key: [x] for key, x in expected.items()}
    assert tf.make_ndarray(found["sample"].defaults["max_length"]).tolist() == [7]


def test_weights_are_stored_once(published, translator):
    size = (published / "variables" / "variables.data-00000-of-00001").stat().st_size
    weights = sum(4 * int(tf.size(weight)) for weight in translator.model.weights)
    assert size < weights * 1.5 + 20_000


def test_no_operation_that_a_stock_server_lacks(published):
    graph = meta_graph(published)
    functions = [node.op for f in graph.graph_def.library.function for node in f.node_def]
    used = {node.op for node in graph.graph_def.node} | set(functions)
    assert not {op for op in used if "PyFunc" in op or op.startswith("Xla")}


def test_loops_are_calls_and_what_calls_nothing_runs_in_one_thread(published):
    library = {f.signature.name: f for f in meta_graph(published).graph_def.library.function}
    flow = [n for f in library.values() for n in f.node_def if n.op.endswith(("While", "If"))]
    assert not any(node.attr["_lower_using_switch_merge"].b for node in flow)
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


def test_requests_at_once_do_not_wait_for_each_other_in_one_thread(published):
    script = Path(__file__).parent / "one_thread.py"
    command = [sys.executable, str(script), str(published), "24"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["24"]
    assert "tfg." not in done.stderr  # a graph whose functions and calls do not fit each other


def test_a_version_that_exists_is_refused(published, translator):
    with pytest.raises(UserError, match="version: expected one that is free, came 1: .*served"):
        export_translator(translator, published.parent, version=1)
    (published.parent / "007").mkdir()
    with pytest.raises(UserError, match="version: expected one that is free, came 7"):
        export_translator(translator, published.parent, version=7)
    (published.parent / "007").rmdir()
    with pytest.raises(UserError, match="version: expected at most 9223372036854775807, came"):
        export_translator(translator, published.parent, version=2**63)
    for version in (0, -3, True, "2"):
        with pytest.raises(UserError, match="version: expected a positive integer, came"):
            export_translator(translator, published.parent, version=version)


def test_a_version_that_appears_meanwhile_is_not_overwritten(light, tmp_path, monkeypatch):
    graphs = light.graphs

    def slow():
        (tmp_path / "7" / "variables").mkdir(parents=True, exist_ok=True)
        return graphs()

    monkeypatch.setattr(light, "graphs", slow)
    with pytest.raises(UserError, match="version: expected one that is free, came 7"):
        export_translator(light, tmp_path, version=7)
    assert export_translator(light, tmp_path).name == "8"
    assert sorted(os.listdir(tmp_path)) == ["7", "8"]
    assert os.listdir(tmp_path / "7") == ["variables"]


def test_a_failure_leaves_nothing(light, tmp_path, monkeypatch):
    def fails(*args):
        raise RuntimeError("graph")

    monkeypatch.setattr(light, "graphs", fails)
    with pytest.raises(RuntimeError, match="graph"):
        export_translator(light, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_is_named_and_nothing_stays(light, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(UserError, match=r"^directory .*: cannot be written: File too large$"):
            export_translator(light, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(translator, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="directory .*file: cannot be written: it is a file"):
        export_translator(translator, tmp_path / "file")
    with pytest.raises(UserError, match=r"directory .*file/served: cannot be written: Not a dir"):
        export_translator(translator, tmp_path / "file" / "served")


def test_a_run_is_exported_by_path(translator, tmp_path, monkeypatch):
    translator.save(tmp_path / "run")
    monkeypatch.setattr(Translator, "graphs", Light.graphs)
    path = export_saved_model(tmp_path / "run", tmp_path / "served", version=5)
    assert path == tmp_path / "served" / "5"
    assert (path / "saved_model.pb").is_file()
    with pytest.raises(UserError, match="none: expected a run directory"):
        export_saved_model(tmp_path / "none", tmp_path / "served")
