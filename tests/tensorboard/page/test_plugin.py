"""The plugin in a TensorBoard process without TensorFlow, asked over its socket."""

import json

import numpy as np
import pytest

from keras_s2s.tensorboard import plugin
from keras_s2s.tensorboard.attention_records import unpack
from tests.tensorboard.page.browser import answers
from tests.tensorboard.page.runs import MALFORMED, MANY, asked, index
from tests.tensorboard.page.samples import HOSTILE, a_record


def test_tab_is_there(server):
    listed = json.loads(answers(f"{server}/data/plugins_listing"))["attention"]
    assert (listed["enabled"], listed["tab_name"]) == (True, "Attention")
    assert listed["loading_mechanism"]["module_path"] == "/data/plugin/attention/main.js"


def test_index_names_runs_and_sentences_in_their_order(server):
    runs = index(server)
    assert list(runs) == ["large", "run", "small", "worn"]
    assert list(runs["run"]) == [f"attention/{n}" for n in (0, 7, 8, 9, 10)]
    assert runs["run"]["attention/10"]["label"] == " ".join(HOSTILE).strip()[:120]
    assert runs["worn"]["good"]["label"] == ""


def test_every_step_comes_back_equal(server):
    status, data = asked(server, "steps", run="run", tag="attention/0")
    assert (status, json.loads(data)["steps"]) == (200, [step * 100 for step in range(MANY)])
    for step in (0, 1700, 2900):
        status, data = asked(server, "record", run="run", tag="attention/0", step=step)
        assert status == 200
        expected, given = a_record(seed=step // 100), unpack(data)
        assert given.source_tokens == expected.source_tokens
        for kind, (names, weights) in expected.maps.items():
            assert given.maps[kind][0] == names
            np.testing.assert_allclose(given.maps[kind][1], weights, atol=1 / 500)


@pytest.mark.parametrize("tag", MALFORMED)
def test_malformed_event_is_an_answer_that_says_so(server, tag):
    status, data = asked(server, "steps", run="worn", tag=tag)
    assert status == 200
    (step,) = json.loads(data)["steps"]
    status, data = asked(server, "record", run="worn", tag=tag, step=step)
    assert status == 422
    assert json.loads(data)["error"]
    assert asked(server, "record", run="worn", tag="good", step=0)[0] == 200


@pytest.mark.parametrize(
    "route, query, status",
    [
        ("steps", {"run": "run"}, 400),
        ("record", {"run": "run", "tag": "attention/0"}, 400),
        ("steps", {"run": "none", "tag": "attention/0"}, 404),
        ("steps", {"run": "run", "tag": "<script>"}, 404),
        ("record", {"run": "run", "tag": "attention/0", "step": "1"}, 404),
        ("record", {"run": "run", "tag": "attention/0", "step": "--1"}, 404),
        ("record", {"run": "run", "tag": "attention/0", "step": "²"}, 404),
        ("../attention/plugin.py", {}, 404),
        ("page/main.js", {}, 404),
        ("%2e%2e/plugin.py", {}, 404),
    ],
)
def test_what_is_not_there_is_refused(server, route, query, status):
    assert asked(server, route, **query)[0] == status


def test_files_of_the_page_are_those_of_the_list(server):
    assert {path.name for path in plugin.PAGE.iterdir()} == set(plugin.FILES)
    for name in plugin.FILES:
        assert asked(server, name) == (200, (plugin.PAGE / name).read_bytes())
        assert (plugin.PAGE / name).read_text().count("\n") <= 400


def test_no_file_of_the_page_writes_markup():
    for path in plugin.PAGE.glob("*.js"):
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in path.read_text(), path.name
