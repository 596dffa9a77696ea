"""Rows whose hypotheses differ because of rounding only."""

import numpy as np
import pytest

from keras_s2s.config import Decoding
from keras_s2s.export.verification.probe_requests import build_request
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


def test_other_signatures_must_be_equal(run):
    request = build_request("score", TEXTS, [{"target": "a b"}])
    (first,), (second,) = run([request]), run([request])
    assert find_difference(request, first, second, run) is None
    second["tokens"][2, 0] = b"g"
    assert find_difference(request, first, second, run).output == "tokens[0]"
