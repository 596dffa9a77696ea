"""Clients of `keras-s2s serve` for models of features, compared with the translator."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.export import export_translator
from keras_s2s.serving import Client, RowError, errors
from tests.export.feature_models import ROWS, F, make_forecaster, make_speller, make_translator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def serving(model, base_path):
    """A client of a server process started by the command line."""
    export_translator(model, base_path)
    command = [
        sys.executable,
        "-m",
        "keras_s2s",
        "serve",
        "--model_name",
        "waves",
        "--model_base_path",
        str(base_path),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            match = re.fullmatch(r"serving waves version 1 at (localhost:\d+)\n", line)
            assert match, line
            with Client(match[1], "waves", timeout=60) as client:
                yield client
        finally:
            process.terminate()
        assert process.wait(60) == 0


def assert_close(rows, expected):
    """Compares rows of hypotheses up to rounding."""
    assert [len(row) for row in rows] == [len(row) for row in expected]
    for one, other in zip(sum(rows, []), sum(expected, []), strict=True):
        for name in ("text", "tokens", "source_tokens", "finished"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("score", "log_prob", "token_log_probs"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4)
        np.testing.assert_allclose(one.alignment, other.alignment, atol=1e-5)


def test_forecasts_agree_with_the_forecaster(tmp_path):
    forecaster = make_forecaster()
    with serving(forecaster, tmp_path) as client:
        assert {"forecast", "serving_default"} <= set(client.metadata().signatures)
        for steps in (None, 2, [3, 1]):
            forecasts, expected = client.forecast(ROWS, steps), forecaster.forecast(ROWS, steps)
            for one, other in zip(forecasts, expected, strict=True):
                assert one.values.shape == other.values.shape
                np.testing.assert_allclose(one.values, other.values, atol=1e-4)
                np.testing.assert_allclose(one.variances, other.variances, atol=1e-4)
        with pytest.raises(RowError, match="^row 0: steps: expected 1 to 8, got 9") as caught:
            client.forecast(ROWS, [9, 2])
        rejected, accepted = caught.value.results
        assert len(accepted.values) == 2
        assert not getattr(rejected, "values", ())
        with pytest.raises(errors.DeadlineExceeded):
            client.forecast([np.ones([400, F])] * 20, 8, timeout=0.002)
        integers = {"features": np.ones([1, 2, F], "int32"), "length": [2]}
        with pytest.raises(errors.InvalidArgument, match="to be float but int32 is provided"):
            client.predict("forecast", integers)
        np.testing.assert_allclose(
            client.forecast(ROWS)[0].values, forecaster.forecast(ROWS)[0].values, atol=1e-4
        )


@pytest.mark.parametrize(("make", "max_frames"), [(make_translator, 12), (make_speller, 40)])
def test_translations_agree_with_the_translator(make, max_frames, tmp_path):
    translator = make()
    rows = [np.random.default_rng(n).normal(size=(n, F)) for n in (9, 1, 12)]
    with serving(translator, tmp_path) as client:
        for options in ({}, {"beam_size": 3, "num_hypotheses": 2, "max_length": 5}):
            translations = client.translate(rows, **options)
            assert_close(translations, translator.decode(rows, **options))
        assert_close(client.sample(rows, seed=3), translator.sample(rows, seed=3))
        with_nan = rows[0].copy()
        with_nan[1, 1] = np.nan
        with pytest.raises(RowError, match=r"features: .* \(and 1 more of 3 rows\)") as caught:
            client.translate([with_nan, rows[2], np.zeros([max_frames + 1, F])])
        assert [len(row) for row in caught.value.results] == [0, 1, 0]
        assert_close([caught.value.results[1]], translator.decode([rows[2]]))
        with pytest.raises(errors.DeadlineExceeded):
            client.translate([np.ones([max_frames, F])] * 40, beam_size=4, timeout=0.002)
        tokens = [row[0].tokens for row in client.translate(rows)]
        maps = client.attention(rows, target_tokens=tokens)
        expected = translator.attention(rows, target_tokens=tokens)
        for one, other in zip(maps, expected, strict=True):
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)
