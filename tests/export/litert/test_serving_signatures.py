"""What TensorFlow Serving's TFLite session reads of a file: its first subgraph and an entry."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_s2s.config import Decoding
from keras_s2s.export.litert import default_search
from keras_s2s.export.litert.default_search import (
    ENTRY,
    check_serving,
    has_plain_search,
    read_entry,
)
from keras_s2s.export.litert.exporter import export_litert_translator
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.serving.edge.edge_file import EdgeFile
from tests.export.tiny_models import make_translator

DECODING = Decoding(beam_size=3, max_length=8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    translator = make_translator(DECODING)
    path = export_litert_translator(translator, tmp_path_factory.mktemp("served"))
    return translator, path / "model.tflite"


def entry_of(path):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    (found,) = (one for one in model.metadata if one.name in (ENTRY, ENTRY.encode()))
    return bytes(model.buffers[found.buffer].data)


def first_subgraph(path):
    """(interpreter, places of inputs, places of outputs by name), as that server finds them."""
    run = Interpreter(model_path=str(path))  # its plain calls are of subgraph 0
    places = [
        {x["name"]: x["index"] for x in found}
        for found in (run.get_input_details(), run.get_output_details())
    ]
    return run, *places


def ask(path, ids):
    run, given, found = first_subgraph(path)
    (place,) = given.values()
    run.resize_tensor_input(place, ids.shape)
    run.allocate_tensors()
    run.set_tensor(place, ids)
    run.invoke()
    signature = read_entry(entry_of(path))["serving_default"]
    return {name: run.get_tensor(found[info.name]) for name, info in signature.outputs.items()}


def test_the_entry_is_a_signature_of_the_first_subgraph(made):
    content = entry_of(made[1])
    signatures = read_entry(content)
    assert list(signatures) == ["serving_default"]
    signature = signatures["serving_default"]
    assert b"\0" not in signature.SerializeToString()
    _, given, found = first_subgraph(made[1])
    assert {one.name for one in signature.inputs.values()} == given.keys()
    assert {one.name for one in signature.outputs.values()} == found.keys()
    assert list(signature.inputs) == ["ids"]
    assert set(signature.outputs) == {"found", "lengths", "score"}
    shapes = {name: len(one.tensor_shape.dim) for name, one in signature.outputs.items()}
    assert shapes == {"found": 2, "lengths": 1, "score": 1}


def test_ids_give_what_texts_give(made):
    translator, path = made
    texts = ["a b c", "d", "h i a b"]
    rows = [[*translator.source_tokenizer.vocabulary] for _ in texts]
    ids = np.zeros([3, 5], np.int32)
    for row, known, text in zip(ids, rows, texts, strict=True):
        written = [*map(known.index, text.split()), 3]
        row[: len(written)] = written
    answer = ask(path, ids)
    for number, (best, *_) in enumerate(translator.decode(texts)):
        pieces = translator.target_tokenizer.vocabulary
        came = [pieces[i] for i in answer["found"][number][: answer["lengths"][number]]]
        assert came == list(best.tokens)
        np.testing.assert_allclose(answer["score"][number], best.score, atol=1e-4)


@pytest.mark.parametrize("shape", [(), (4,), (1, 0), (2, 3), (2, 2, 3)])
def test_any_shape_and_id_is_answered(made, shape):
    ids = np.full(shape, 2**31 - 1, np.int32)
    rows = shape[0] if shape else 1
    answer = ask(made[1], ids)
    assert answer["lengths"].shape == (rows,)
    assert answer["found"].shape[0] == rows


@pytest.mark.parametrize("shape", [(0, 3), (0, 0), (2, 0)])
def test_no_ids_are_answered_by_as_many_rows(made, shape):
    run, given, found = first_subgraph(made[1])
    (place,) = given.values()
    run.resize_tensor_input(place, shape)
    run.allocate_tensors()
    run.invoke()
    sizes = {one["name"]: one["shape"][0] for one in run.get_output_details()}
    assert sizes == dict.fromkeys(found, shape[0])
    assert len(ask(made[1], np.array([[4, 3]], np.int32))["score"]) == 1


def test_the_other_signatures_are_what_they_were(made):
    file = EdgeFile(made[1])
    assert set(file.description["signatures"]) >= {"translate_ids", "step", "score", "serving_ids"}
    given = {"ids": np.array([[4, 5, 3]], np.int32), "lengths": np.array([3], np.int32)}
    targets = {"targets": np.array([[4]], np.int32), "target_lengths": np.array([1], np.int32)}
    assert file.run("score", **given, **targets)["token_log_probs"].shape == (1, 2)


def test_another_answer_is_not_proved(made, tmp_path, monkeypatch):
    translator, path = made
    changed = default_search.default_options(translator) | {"min_length": 8}
    monkeypatch.setattr(default_search, "default_options", lambda translator: changed)
    with pytest.raises(NotProven, match="signature serving_ids, .* of ids .*: expected .*, came"):
        check_serving(translator, path, tmp_path)


def test_what_copies_or_wishes_has_no_such_signature(copying_file):
    assert not has_plain_search(copying_file[0])
    assert "serving_ids" not in EdgeFile(copying_file[1] / "model.tflite").description["signatures"]
    wishes = Decoding(beam_size=3, max_length=8, no_repeat_ngram=2)
    assert not has_plain_search(make_translator(wishes))
    assert has_plain_search(make_translator(DECODING))
