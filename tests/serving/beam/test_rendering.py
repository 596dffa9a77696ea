"""Output lines of translation results."""

import json

import numpy as np

from keras_s2s.serving.beam.pipeline import Result
from keras_s2s.serving.beam.rendering import render
from keras_s2s.signatures.responses import Hypothesis


def test_results_as_text_and_json():
    hypotheses = tuple(
        Hypothesis(text, np.float32(-0.1), -np.inf, ["a"], [], None, True, [-0.5, -1e9])
        for text in ("a\tb\nc", "d")
    )
    single = Result("s", hypotheses[:1], "", (1, 20_001))
    inputs = ["x", "y"]
    assert render(single, inputs, "text") == [((1, 1, 2), (20_001, b"a\tb c"))]
    pair = Result("s", hypotheses, "", (1, 7))
    assert render(pair, inputs, "text")[0][1] == (7, b"a b c\td")
    ((block, (_, line)),) = render(single, inputs, "jsonl")
    row = json.loads(line)
    assert block == (1, 1, 2)
    assert (row["file"], row["number"], row["source"]) == ("y", 20_001, "s")
    assert row["hypotheses"] == [
        {
            "text": "a\tb\nc",
            "score": -0.1,
            "log_prob": None,
            "tokens": ["a"],
            "token_log_probs": [-0.5, -1e9],
            "finished": True,
        }
    ]


def test_rejected_line_is_an_error_and_an_empty_line():
    rejected = Result("é", (), "why", (0, 3))
    error, *others = render(rejected, ["x"], "jsonl")
    expected = {"file": "x", "number": 3, "source": "é", "error": "why"}
    assert (error[0], json.loads(error[1][1])) == ((1, 0, 0), expected)
    assert not others
    assert render(rejected, ["x"], "text") == [error, ((0, 0, 0), (3, b""))]
