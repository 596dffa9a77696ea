"""Rows whose hypotheses differ because of rounding only."""

import numpy as np
import pytest

from keras_s2s.config import Decoding
from keras_s2s.export.verification import model_comparison
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.model_comparison import verify_models
from keras_s2s.export.verification.probe_requests import RequestCorpus, build_request
from keras_s2s.export.verification.request_runner import run_requests
from keras_s2s.export.verification.rounding_ties import find_difference
from tests.export.tiny_models import make_translator

TEXTS = ["a b c", "i h g f e d", "c", "d e"]


@pytest.fixture(scope="module")
def run():
    translator = make_translator(Decoding())
    return lambda requests: run_requests(translator, requests)


def sample(run, seeds):
    rows = [{"seed": seed, "num_samples": 2, "max_length": 9} for seed in seeds]
    request = build_request("sample", TEXTS, rows)
    return request, run([request])[0]


def test_row_with_another_sample_is_a_tie(run):
    request, first = sample(run, [1, 2, 3, 4])
    for seed in range(50, 60):  # other lengths, so that the arrays have other widths
        _, second = sample(run, [1, seed, 3, 4])
        assert not np.array_equal(first["text"][1], second["text"][1])
        assert find_difference(request, first, second, run) is None


def test_wrong_log_probability_is_a_difference(run):
    request, first = sample(run, [1, 2, 3, 4])
    _, second = sample(run, [1, 50, 3, 4])
    second["log_prob"] = second["log_prob"] + np.float32(0.001)
    assert find_difference(request, first, second, run).row == 0
    _, second = sample(run, [1, 50, 3, 4])
    second["log_prob"][1] += np.float32(0.001)
    assert find_difference(request, first, second, run).row == 1


def test_difference_in_another_row_is_found(run):
    request, first = sample(run, [1, 2, 3, 4])
    _, second = sample(run, [1, 50, 3, 4])
    second["lengths"][3, 0] += 1
    assert find_difference(request, first, second, run).row == 2  # of the remaining rows


def test_too_many_tied_rows_are_a_difference(run):
    request, first = sample(run, [1, 2, 3, 4])
    _, second = sample(run, [51, 52, 53, 4])
    assert find_difference(request, first, second, run) is not None


def test_ties_are_judged_by_the_first_model(run, monkeypatch):
    request, first = sample(run, [1, 2, 3, 4])
    samples = (sample(run, [1, seed, 3, 4])[1] for seed in range(50, 99))
    second = next(
        other
        for other in samples
        if other["tokens"].shape == first["tokens"].shape
        and not np.array_equal(other["tokens"], first["tokens"])
    )

    def wrong(requests):
        """A model that gives the second row and all scores a log-probability that is too high."""
        (request,) = requests
        response = dict(second) if request.signature == "sample" else run(requests)[0]
        rows = slice(1, 2) if request.signature == "sample" else slice(None)
        response["log_prob"] = response["log_prob"].copy()
        response["log_prob"][rows] += np.float32(0.3)
        return [response]

    monkeypatch.setattr(model_comparison, "build_probe_requests", lambda corpus: [request])
    corpus = RequestCorpus(tuple(TEXTS), ("a",))
    assert verify_models({"one": run, "two": lambda requests: [second]}, corpus) == 1
    with pytest.raises(VerificationError, match="signature sample, row 1"):
        verify_models({"one": run, "two": wrong}, corpus)


def test_other_signatures_must_be_equal(run):
    request = build_request("score", TEXTS, [{"target": "a b"}])
    (first,), (second,) = run([request]), run([request])
    assert find_difference(request, first, second, run) is None
    second["tokens"][2, 0] = b"g"
    assert find_difference(request, first, second, run).output == "tokens[0]"
