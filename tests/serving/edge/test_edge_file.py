"""Calls of a LiteRT file with a deadline or a cancellation, with a fake file."""

import math
import time
from concurrent.futures import CancelledError

import pytest

from keras_s2s.serving.edge.edge_file import EdgeFileWithDeadline


class FakeFile:
    description = {}

    def run_within(self, seconds, signature, inputs):
        return {"seconds": seconds}


def test_cancellation_ends_the_next_call():
    answers = [False, True]
    file = EdgeFileWithDeadline(FakeFile(), math.inf, lambda: answers.pop(0))
    assert file.run("step") == {"seconds": None}  # no deadline
    with pytest.raises(CancelledError):
        file.run("step")


def test_deadline_ends_the_next_call():
    assert 0 < EdgeFileWithDeadline(FakeFile(), time.monotonic() + 50).run("step")["seconds"] <= 50
    with pytest.raises(TimeoutError):
        EdgeFileWithDeadline(FakeFile(), time.monotonic() - 1, lambda: False).run("step")
