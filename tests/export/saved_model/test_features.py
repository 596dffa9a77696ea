"""Exports of models with real-valued sources or targets."""

import numpy as np
import pytest

from keras_s2s.errors import UserError
from keras_s2s.export import export_translator
from keras_s2s.export.saved_model.graph_file import read_graph
from keras_s2s.export.verification.model_comparison import (
    load_export_corpus,
    session_runner,
    verify_models,
)
from keras_s2s.serving.errors import RowError
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.signatures.fields import signatures_for
from keras_s2s.translator import Translator, load_run
from tests.export.feature_models import ROWS, F, make_forecaster, make_translator


@pytest.fixture(scope="module")
def forecaster():
    return make_forecaster()


@pytest.fixture(scope="module")
def translator():
    return make_translator()


@pytest.fixture(scope="module")
def forecasts(forecaster, tmp_path_factory):
    return export_translator(forecaster, tmp_path_factory.mktemp("forecasts"))


@pytest.fixture(scope="module")
def translations(translator, tmp_path_factory):
    return export_translator(translator, tmp_path_factory.mktemp("translations"))


def shapes(infos):
    return {name: [dim.size for dim in info.tensor_shape.dim] for name, info in infos.items()}


def test_signatures_of_a_forecaster(forecasts):
    found = read_graph(forecasts).signature_def
    assert set(found) - {"__saved_model_init_op"} == {"serving_default", "forecast"}
    inputs = {"features": [-1, -1, F], "length": [-1], "steps": [-1]}
    assert shapes(found["forecast"].inputs) == inputs
    assert set(found["forecast"].outputs) == {"values", "variances", "lengths", "error"}
    assert list(found["forecast"].defaults) == ["steps"]
    assert set(found["serving_default"].inputs) == {"features", "length"}


@pytest.mark.slow
def test_signatures_of_a_translator(translations):
    found = read_graph(translations).signature_def
    for name, signature in signatures_for(True, False).items():
        assert set(found[name].inputs) == set(signature.input_names())
        assert shapes(found[name].inputs)["features"] == [-1, -1, F]
        assert "replace_unknown" not in found[name].inputs


def test_client_forecasts_equal_those_of_the_forecaster(forecasts, forecaster):
    with LocalModel(forecasts) as client:
        for steps in (None, 2, [3, 1]):
            expected, actual = forecaster.forecast(ROWS, steps), client.forecast(ROWS, steps)
            for one, two in zip(expected, actual, strict=True):
                assert len(one.values) == len(two.values)
                np.testing.assert_allclose(two.values, one.values, atol=1e-4)
                np.testing.assert_allclose(two.variances, one.variances, atol=1e-4)
        assert len(client.forecast(ROWS)[0].values) == 4
        assert client.forecast([]) == []
        with pytest.raises(RowError, match="steps: expected 1 to 8, got 9") as caught:
            client.forecast(ROWS, [9, 2])
        assert len(caught.value.results[1].values) == 2
        with pytest.raises(
            ValueError, match=r"features\[1\]: expected numbers \[S, 3\], got .*\[5, 2\]"
        ):
            client.forecast([ROWS[0], ROWS[0][:, :2]])


@pytest.mark.slow
def test_client_translations_equal_those_of_the_translator(translations, translator):
    with LocalModel(translations) as client:
        expected, actual = (
            translator.decode(ROWS, num_hypotheses=2),
            client.translate(ROWS, num_hypotheses=2),
        )
        for one, two in zip(sum(expected, []), sum(actual, []), strict=True):
            assert one.tokens == two.tokens
            assert one.log_prob == pytest.approx(two.log_prob, abs=1e-4)
            assert one.source_tokens == two.source_tokens
            assert two.alignment.shape == (len(two.tokens), len(two.source_tokens))
        assert actual[0][0].source_tokens == ["0", "1", "2", "3", "4"]
        assert len(client.sample(ROWS, num_samples=3)[1]) == 3
        tokens = [found[0].tokens for found in actual]
        scores = client.score(ROWS, target_tokens=tokens)
        maps = client.attention(ROWS, target_tokens=tokens)
        for found, score, one in zip(actual, scores, maps, strict=True):
            if found[0].finished:
                assert score.log_prob == pytest.approx(found[0].log_prob, abs=1e-3)
            assert one.attention.shape == (1, len(one.tokens), len(one.source_tokens))
            np.testing.assert_allclose(one.attention.sum(2), 1.0, atol=1e-5)


def test_invalid_rows_do_not_affect_other_rows(translator):
    broken = ROWS[0].copy()
    broken[1, 1] = np.nan
    found, errors = translator.decode([broken, ROWS[1], np.zeros([13, F])], errors="return")
    assert errors == {
        0: "features: expected finite numbers in real frames",
        2: "features frames: expected 0 to 12, got 13",
    }
    assert found[0] == found[2] == []
    alone = translator.decode([ROWS[1]])[0]
    assert [h.tokens for h in found[1]] == [h.tokens for h in alone]


@pytest.mark.slow
def test_export_is_verified_with_its_own_corpus(forecasts, translations):
    for path in (forecasts, translations):
        answers = session_runner(path)
        assert verify_models({"one": answers, "two": answers}, load_export_corpus(path)) > 3


def test_runs_of_both_kinds_are_loaded(tmp_path, translator, forecaster):
    translator.save(tmp_path / "one")
    forecaster.save(tmp_path / "two")
    assert isinstance(load_run(tmp_path / "one"), Translator)
    again = load_run(tmp_path / "two")
    for one, two in zip(again.forecast(ROWS, 2), forecaster.forecast(ROWS, 2), strict=True):
        np.testing.assert_allclose(one.values, two.values, atol=1e-5)
    with pytest.raises(UserError, match="such a target needs a Forecaster"):
        Translator.load(tmp_path / "two")


def test_variants_that_do_not_support_features(tmp_path, translator, forecaster):
    with pytest.raises(UserError, match="batching: expected none for a source of frames"):
        export_translator(translator, tmp_path, batching=True)
    with pytest.raises(UserError, match="weights: expected none for forecasts"):
        export_translator(forecaster, tmp_path, weights="int8")
