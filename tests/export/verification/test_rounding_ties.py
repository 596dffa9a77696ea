"""What rounding may have decided is no difference; anything else is one."""

import numpy as np
import pytest

from keras_s2s.config import Decoding
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.export.verification.request_runner import run_request
from keras_s2s.export.verification.rounding_ties import find_difference
from tests.export.tiny_models import make_translator

TEXTS = ["a b c", "i h g f e d", "c", "d e"]


@pytest.fixture(scope="module")
def answers():
    translator = make_translator(Decoding())
    return lambda asked: [run_request(translator, probe) for probe in asked]


def drawn(answers, seeds):
    rows = [{"seed": seed, "num_samples": 2, "max_length": 9} for seed in seeds]
    probe = build_request("sample", TEXTS, rows)
    return probe, answers([probe])[0]


def test_a_row_that_was_drawn_otherwise(answers):
    probe, one = drawn(answers, [1, 2, 3, 4])
    for seed in range(50, 60):  # other lengths, and so other widths of the whole
        _, other = drawn(answers, [1, seed, 3, 4])
        assert not np.array_equal(one["text"][1], other["text"][1])
        assert find_difference(probe, one, other, answers) is None


def test_what_does_not_have_the_log_probability_that_it_claims(answers):
    probe, one = drawn(answers, [1, 2, 3, 4])
    _, other = drawn(answers, [1, 50, 3, 4])
    other["log_prob"] = other["log_prob"] + np.float32(0.001)
    assert find_difference(probe, one, other, answers).row == 0
    _, other = drawn(answers, [1, 50, 3, 4])
    other["log_prob"][1] += np.float32(0.001)
    assert find_difference(probe, one, other, answers).row == 1


def test_another_row_beside_it(answers):
    probe, one = drawn(answers, [1, 2, 3, 4])
    _, other = drawn(answers, [1, 50, 3, 4])
    other["lengths"][3, 0] += 1
    assert find_difference(probe, one, other, answers).row == 2  # of those that are left


def test_too_many_rows(answers):
    probe, one = drawn(answers, [1, 2, 3, 4])
    _, other = drawn(answers, [51, 52, 53, 4])
    assert find_difference(probe, one, other, answers) is not None


def test_other_signatures_have_to_be_equal(answers):
    probe = build_request("score", TEXTS, [{"target": "a b"}])
    (one,), (other,) = answers([probe]), answers([probe])
    assert find_difference(probe, one, other, answers) is None
    other["tokens"][2, 0] = b"g"
    assert find_difference(probe, one, other, answers).output == "tokens[0]"
