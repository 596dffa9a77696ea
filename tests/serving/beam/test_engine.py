"""Batches of a corpus through an export in this process; Apache Beam is not needed."""

import numpy as np
import pytest

from keras_s2s.serving import errors
from keras_s2s.serving.beam.engine import Engine
from keras_s2s.serving.beam.options import check_options


@pytest.fixture(scope="module")
def engine(base_path):
    engine = Engine(base_path / "1")
    yield engine
    engine.close()


def test_engine_agrees_with_client(engine, base_path, client):
    texts = ["one two", "", "three", "vier fünf 六"]
    options = {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0, "constraints": ["x"]}
    for engine_options in ({}, options, check_options(options)):
        engine_with_alignment = Engine(base_path / "1", engine_options, alignment=True)
        results = engine_with_alignment.translate(texts)
        expected = client.translate(texts, **(options if engine_options else {}))
        engine_with_alignment.close()
        assert [error for _, error in results] == [""] * 4
        for (row, _), expected_row in zip(results, expected, strict=True):
            for one, other in zip(row, expected_row, strict=True):
                np.testing.assert_array_equal(one.alignment, other.alignment)
                assert {**vars(one), "alignment": 0} == {**vars(other), "alignment": 0}
    assert engine.translate(["a"])[0][0][0].alignment is None


def test_rejected_rows_have_their_error(base_path):
    engine = Engine(base_path / "1", {"num_hypotheses": 3, "beam_size": 2})
    message = "num_hypotheses must be at most beam_size"
    assert engine.translate(["a", "b"]) == [([], message)] * 2
    engine.close()


def test_failing_batch_is_split_in_halves(engine, monkeypatch):
    translate, sizes, error_class = engine._model.translate, [], errors.ResourceExhausted

    def translate_small_batches(texts, **options):
        sizes.append(len(texts))
        if len(texts) > 2 or "bad" in texts:
            raise error_class("out of memory", address="a", model="m")
        return translate(texts, **options)

    monkeypatch.setattr(engine._model, "translate", translate_small_batches)
    results = engine.translate(["a", "bad", "c", "d"])
    assert [[one.text for one in row] for row, _ in results] == [["A"], [], ["C"], ["D"]]
    assert [error for _, error in results] == ["", "out of memory", "", ""]
    assert sizes == [4, 2, 1, 1, 2]
    error_class = errors.InternalError  # independent of the rows: the runner may retry elsewhere
    with pytest.raises(errors.InternalError):
        engine.translate(["a", "bad"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda signatures: signatures.pop("translate"),
            "expected the signature translate, got .*slow",
        ),
        (
            lambda signatures: signatures["translate"].inputs.pop("beam_size"),
            "no input 'beam_size'",
        ),
        (lambda signatures: signatures["translate"].outputs.pop("score"), "no output 'score'"),
        (
            lambda signatures: signatures["translate"].defaults.pop("max_length"),
            "no default of 'max_length'",
        ),
    ],
    ids=["signature", "input", "output", "default"],
)
def test_incomplete_signature_is_named(base_path, monkeypatch, damage, message):
    from keras_s2s.serving.server import local_model

    class IncompleteModel(local_model.LoadedModel):
        def __init__(self, directory):
            super().__init__(directory)
            damage(self.signatures)

    monkeypatch.setattr(local_model, "LoadedModel", IncompleteModel)
    with pytest.raises(ValueError, match=f"^{base_path}/1: .*{message}"):
        Engine(base_path / "1", {"beam_size": 2})


def test_export_that_does_not_load_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ValueError, match=f"^{tmp_path}: "):
        Engine(tmp_path)
