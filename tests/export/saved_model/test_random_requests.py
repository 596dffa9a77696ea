"""Combinations of options through a SavedModel in a Session, compared with the translator."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_s2s.config import Decoding
from keras_s2s.export import export_translator
from keras_s2s.signatures.fields import SAMPLE, SCORE, TRANSLATE
from keras_s2s.signatures.responses import read_rows
from tests.export.tiny_models import make_translator
from tests.search import mixed_requests, random_requests
from tests.search.random_requests import ParsedRow, is_rejected, violations

UNSATISFIED = "options: expected a target that all of them allow, found none"
LISTS = ("constraints", "disallowed", "prefix_tokens")


class SessionModel:
    """A SavedModel in a v1 Session, as in a server."""

    def __init__(self, path):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        loaded = tf.compat.v1.saved_model.load(self.session, ["serve"], str(path))
        self.signatures = loaded.signature_def

    def predict(self, signature, columns):
        """Arrays by output."""
        info, fields = self.signatures[signature.name], signature.inputs
        feed = {info.inputs[f.name].name: array(columns[f.name], f.dtype) for f in fields}
        return self.session.run({name: x.name for name, x in info.outputs.items()}, feed)


def array(values, dtype):
    if dtype != "string":
        return np.array(values, dtype)
    encoded = [x.encode() for x in values]
    return np.array(encoded, object) if encoded else np.zeros([0], object)


@pytest.fixture(
    scope="module", params=[pytest.param("pointer", marks=pytest.mark.slow), "transformer"]
)
def pair(request, tmp_path_factory):
    """A translator, and its export."""
    parts = {"pointer": ("bigru", "gru", "pointer"), "transformer": ("pre", "pre", "tied")}
    translator = make_translator(Decoding(max_length=6), parts[request.param])
    path = export_translator(translator, tmp_path_factory.mktemp(request.param))
    return translator, SessionModel(path)


def columns(texts, rows, defaults, signature=TRANSLATE):
    return {"text": texts, **mixed_requests.request_inputs(rows, signature, defaults)}


def read(outputs, count):
    rows = [{name: x[place] for name, x in outputs.items()} for place in range(count)]
    return read_rows("translate", rows)


def check_equal(one, other, at):
    """Hypotheses of a row must be equal except for rounding."""
    assert [h.tokens for h in one] == [h.tokens for h in other], at
    for a, b in zip(one, other):
        assert (a.text, a.finished, a.source_tokens) == (b.text, b.finished, b.source_tokens), at
        for name in ("score", "log_prob", "token_log_probs", "alignment"):
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=1e-5, atol=1e-4, err_msg=str(at)
            )


def searched(pair, texts, rows):
    """The export's hypotheses and errors, after comparison with the translator's."""
    translator, served = pair
    given = columns(texts, rows, translator.defaults() | {"max_length": 6})
    found, errors = read(served.predict(TRANSLATE, given), len(rows))
    named = {
        name: [x.split("\n") if x else [] for x in column] if name in LISTS else column
        for name, column in given.items()
        if name != "text"
    }
    here, problems = translator.decode(texts, batch_size=len(rows), errors="return", **named)
    assert errors == problems
    for place, hypotheses in enumerate(found):
        check_equal(hypotheses, here[place], (texts[place], rows[place]))
    return found, errors


def check(pair, texts, rows, found, errors):
    """Checks the constraints of each row, and the log-probabilities with `score`."""
    copies, kept = pair[0].model.supports_copy, 0
    for place, (text, row) in enumerate(zip(texts, rows)):
        asked, at = ParsedRow(text, row, copies), (text, row, errors.get(place))
        if is_rejected(asked):
            assert errors.get(place, UNSATISFIED) != UNSATISFIED, at
        elif place in errors:
            barred = asked.disallowed or asked.options["no_repeat_ngram"]
            assert errors[place] == UNSATISFIED, at
            assert barred, at
        else:
            assert list(violations(asked, found[place])) == [], at
            kept += 1
        assert (found[place] == []) == (place in errors), at
    scored = [
        (text, h)
        for text, row, hs in zip(texts, rows, found)
        for h in hs
        if not row.get("replace_unknown")
    ]
    given = {
        "text": [text for text, _ in scored],
        "target": [""] * len(scored),
        "target_tokens": ["\n".join(h.tokens) for _, h in scored],
    }
    rescored = pair[1].predict(SCORE, given)["log_prob"]
    np.testing.assert_allclose(rescored, [h.log_prob for _, h in scored], rtol=1e-5, atol=2e-4)
    return kept


def test_every_two_search_options_in_one_row(pair):
    rows, texts = random_requests.option_pairs()
    whole, served = [], pair[1]
    defaults = pair[0].defaults() | {"max_length": 6}
    kept = 0
    for first in range(0, len(rows), 64):
        part = slice(first, first + 64)
        found, errors = searched(pair, texts[part], rows[part])
        kept += check(pair, texts[part], rows[part], found, errors)
        whole += [(found[i], errors.get(i, "")) for i in range(len(found))]
    assert kept > 200
    for place, (text, row) in enumerate(zip(texts, rows)):
        alone, errors = read(served.predict(TRANSLATE, columns([text], [row], defaults)), 1)
        assert errors.get(0, "") == whole[place][1]
        check_equal(alone[0], whole[place][0], (text, row))


@settings(deadline=None, max_examples=40, derandomize=True, database=None)
@given(requests=st.lists(random_requests.random_rows(), min_size=8, max_size=24))
def test_random_options_in_one_batch(pair, requests):
    texts, rows = map(list, zip(*requests))
    check(pair, texts, rows, *searched(pair, texts, rows))


@pytest.mark.slow
@settings(deadline=None, max_examples=600, derandomize=True, database=None)
@given(requests=st.lists(random_requests.random_rows(), min_size=16, max_size=64))
def test_many_random_options_in_one_batch(pair, requests):
    texts, rows = map(list, zip(*requests))
    check(pair, texts, rows, *searched(pair, texts, rows))


SAMPLING_OPTIONS = [
    {"num_samples": 3},
    {"num_samples": 16},
    {"temperature": 0.3},
    {"temperature": 4.0},
    {"top_k": 1},
    {"top_k": 3},
    {"top_p": 0.0},
    {"top_p": 0.7},
    {"min_p": 0.4},
    {"seed": -(2**31)},
    {"seed": 9},
    {"max_length": 0},
    {"max_length": 1},
    {"target_prefix": "d e"},
    {"prefix_tokens": ["g", "zz"]},
    {"max_new_tokens": 1},
]


def test_every_two_sampling_options_in_one_row(pair):
    translator, served = pair
    rows = [{"max_length": 6} | a | b for a in SAMPLING_OPTIONS for b in SAMPLING_OPTIONS]
    texts = [mixed_requests.TEXTS[i % len(mixed_requests.TEXTS)] for i in range(len(rows))]
    given = columns(texts, rows, translator.defaults(SAMPLE), SAMPLE)
    found, errors = read(served.predict(SAMPLE, given), len(rows))
    here = {
        name: array(column, field.dtype)
        for name, column in given.items()
        for field in SAMPLE.inputs
        if field.name == name
    }
    process, problems = read(translator.predict("sample", here), len(rows))
    assert errors == problems
    for place, (text, row) in enumerate(zip(texts, rows)):
        asked, at = ParsedRow(text, row, translator.model.supports_copy), (text, row)
        check_equal(found[place], process[place], at)
        if place % 5 == 0:
            single = columns([text], [row], translator.defaults(SAMPLE), SAMPLE)
            check_equal(read(served.predict(SAMPLE, single), 1)[0][0], found[place], at)
        both = bool(asked.options["target_prefix"] and asked.options["prefix_tokens"])
        assert (place in errors) == (both or len(asked.prefix) > asked.longest), at
        if place in errors:
            continue
        assert len(found[place]) == row.get("num_samples", 1), at
        for h in found[place]:
            assert h.tokens[: len(asked.prefix)] == asked.prefix, at
            assert len(h.tokens) <= asked.longest, at
            assert math.isclose(sum(h.token_log_probs), h.log_prob, abs_tol=1e-3), at
            assert h.score == h.log_prob, at
