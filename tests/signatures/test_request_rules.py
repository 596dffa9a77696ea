"""Rules of a request on Python numbers, on arrays and on tensors."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.signatures.caps import CAPS
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.options import OPTIONS
from keras_s2s.signatures.request_rules import (
    PHRASES,
    PREFIXES,
    ListValues,
    bound_rules,
    search_rules,
    target_rules,
)
from keras_s2s.translator import request_checks

DEFAULTS = {name: field.default for name, field in TRANSLATE.options().items()}
LISTS = {"num_bytes": dict.fromkeys((*PREFIXES, *PHRASES), 0), "prefix_length": 0}
CASES = [
    ({}, {}, ""),
    ({"num_hypotheses": 6}, {}, "num_hypotheses: expected 1 to 5, got 6"),
    ({"beam_groups": 2}, {}, "beam_groups: expected a divisor of beam_size, 5, got 2"),
    ({"min_length": 9}, {}, "min_length: expected at most max_length, 8, got 9"),
    (
        {"target_prefix": "a", "prefix_tokens": "b"},
        {},
        "target_prefix: expected none beside prefix_tokens",
    ),
    (
        {"alternatives_at": 1},
        {"prefix_length": 2},
        "alternatives_at: expected at least the prefix's length, 2, got 1",
    ),
    (
        {"alternatives_at": 1, "beam_groups": 5},
        {},
        "alternatives_at: expected none beside beam_groups",
    ),
    (
        {"alternatives_at": 1},
        {"num_constraint_tokens": 1},
        "constraints: expected none beside beam_groups or alternatives_at",
    ),
    ({}, {"prefix_length": 9}, "target_prefix: expected at most 8 tokens, the maximum, got 9"),
    ({}, {"num_constraint_tokens": 65}, "constraints tokens: expected 0 to 64, got 65"),
    (
        {},
        {"has_unknown": True, "unknown": "q"},
        "constraints: expected tokens that a target can hold, got q",
    ),
    (
        {},
        {"num_missing_tokens": 8, "prefix_length": 1},
        "constraints: expected room for 8 tokens below the maximum of 8",
    ),
    ({}, {"is_contradiction": True}, "constraints: expected nothing that is disallowed"),
]


def broken(rules):
    """The messages of all rules that are broken by the values of one row."""
    return ["".join(map(str, parts)) for is_broken, parts in rules if is_broken]


@pytest.mark.parametrize(("options", "lists", "message"), CASES)
def test_rules_of_one_row(options, lists, message):
    values = DEFAULTS | {"max_length": 8} | options
    rules = search_rules(values, ListValues(**(LISTS | lists)), 8, CAPS)
    assert broken(rules)[:1] == ([message] if message else [])


def test_rules_of_tensors_are_those_of_numbers():
    rows = [DEFAULTS | {"max_length": 8} | options for options, _, _ in CASES]
    values = {
        name: tf.constant([row[name] for row in rows], TRANSLATE.options()[name].dtype)
        for name in DEFAULTS
    }
    blank = dict.fromkeys(("num_constraint_tokens", "num_missing_tokens"), 0)
    blank |= {"has_unknown": False, "unknown": "", "is_contradiction": False} | LISTS
    lists = {
        name: tf.constant([(blank | case)[name] for _, case, _ in CASES])
        for name in blank
        if name != "num_bytes"
    }
    lists["num_bytes"] = dict.fromkeys(blank["num_bytes"], tf.zeros([len(CASES)], tf.int32))
    length = tf.fill([len(CASES)], 8)
    rules = list(search_rules(values, ListValues(**lists), length, CAPS))
    errors = request_checks.first_error(rules, len(CASES))
    assert [error.decode() for error in errors.numpy()] == [message for *_, message in CASES]


@pytest.mark.parametrize("signature", [TRANSLATE, SAMPLE], ids=["translate", "sample"])
def test_bounds_of_tensors_are_those_of_numbers(signature):
    fields = signature.options()
    for name, field in fields.items():
        if field.low is None:
            continue
        high = field.bounds(CAPS)[1]
        values = [field.default, field.low, high, high + 1, field.low - 1]
        values += [float("nan")] if field.dtype == "float32" else []
        rows = [{n: f.default for n, f in fields.items()} | {name: value} for value in values]
        tensors = {
            n: tf.constant([row[n] for row in rows], f.dtype)
            for n, f in fields.items()
            if f.low is not None
        }
        rules = request_checks.bound_rules(signature, tensors, CAPS)
        errors = request_checks.first_error(rules, len(rows)).numpy()
        for row, error in zip(rows, errors, strict=True):
            messages = broken(bound_rules(signature, row, CAPS))
            assert len(messages) == bool(error)
            assert all(x.startswith(f"{name}: expected ") for x in [*messages, error.decode()] if x)


def test_target_rules():
    sizes = {"target": 0, "target_tokens": 70000}
    assert broken(target_rules(True, True, sizes, 2000, CAPS)) == [
        "target: expected none beside target_tokens",
        "target_tokens bytes: expected 0 to 65536, got 70000",
        "target tokens: expected 0 to 1024, got 2000",
    ]


def test_activity_is_elementwise():
    values = np.array([1, 2, 1])
    assert OPTIONS["beam_groups"].is_active(values).tolist() == [False, True, False]
    tensor = OPTIONS["coverage_penalty"].is_active(tf.constant([0.0, 0.5]))
    assert tensor.numpy().tolist() == [False, True]
