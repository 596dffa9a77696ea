"""JSON texts: strict parsers read them, and numbers that are not finite come back."""

import json
import math

import numpy as np
import pytest

from keras_s2s.signatures.json_text import dump_json, load_json


def strict(text):
    def refuse(name):
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


VALUES = [
    {"loss": math.inf, "step": 3},
    {"figures": {"a.b": -math.inf, "c": 1.5}, "sums": [[1.0, math.inf], [2.0]], "best": math.inf},
    {"rows": [{"score": -math.inf, "text": "a"}, {"score": -1.0, "text": "b"}]},
    {"text": "NaN", "none": None, "not_finite": "a key of its own"},
    [1, 2.5, "é", None, True],
]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back_through_a_strict_parser(value):
    text = dump_json(value)
    strict(text)
    assert load_json(text) == value


def test_reasons_stand_beside_null():
    written = strict(dump_json({"figures": {"loss": math.nan, "step": 1}, "x": [0, np.inf]}))
    assert written == {
        "figures": {"loss": None, "step": 1, "not_finite": {"loss": "NaN"}},
        "x": [0, None],
        "not_finite": {"x.1": "Infinity"},
    }
    assert math.isnan(load_json(dump_json({"a": np.float64("nan")}))["a"])


def test_finite_values_are_written_as_json_dumps_writes_them():
    value = {"a": [1, 2.5, {"b": "é"}], "c": None}
    assert dump_json(value, indent=1) == json.dumps(value, indent=1)
    assert dump_json(value, ensure_ascii=False) == json.dumps(value, ensure_ascii=False)


def test_files_of_former_versions_are_read():
    assert load_json('{"best": Infinity, "step": 2}') == {"best": math.inf, "step": 2}
