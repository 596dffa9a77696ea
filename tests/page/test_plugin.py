"""The plugin in a TensorBoard process without TensorFlow, asked over its socket."""

import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_s2s.tensorboard import plugin
from keras_s2s.tensorboard.records import metadata, pack, unpack, write
from tests.page.browser import PLUGIN, answers, tensorboard, until
from tests.page.samples import HOSTILE, a_record

STEPS = 30  # more than the 10 that TensorBoard keeps of a plugin it does not know
MALFORMED = {
    "cut": lambda value: value.tensor.string_val.__setitem__(0, value.tensor.string_val[0][:-9]),
    "nothing": lambda value: value.tensor.string_val.__setitem__(0, b""),
    "number": lambda value: value.tensor.CopyFrom(type(value.tensor)(dtype=1, float_val=[1.0])),
    "several": lambda value: value.tensor.CopyFrom(
        type(value.tensor)(dtype=7, string_val=[b"a", b"b"], tensor_shape={"dim": [{"size": 2}]})
    ),
}


def malformed_run(folder):
    """A run of one good record and one of each malformed kind, under labels that are not JSON."""
    folder.mkdir(parents=True)
    with open(folder / "events.out.tfevents.1.host", "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1, file_version="brain.Event:2").SerializeToString())
        for step, tag in enumerate(("good", *MALFORMED)):
            value = Summary.Value(tag=tag, metadata=metadata())
            value.metadata.plugin_data.content = b"\xff{"
            value.tensor.dtype = 7
            value.tensor.string_val.append(pack(a_record()))
            MALFORMED.get(tag, lambda value: None)(value)
            event = Event(wall_time=step + 2, step=step, summary=Summary(value=[value]))
            writer.write(event.SerializeToString())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugin")
    for step in range(STEPS):
        write(folder / "logs" / "run", "attention/0", a_record(seed=step), step * 100)
    write(folder / "logs" / "run", "attention/10", a_record(HOSTILE, HOSTILE), 5)
    write(folder / "logs" / "run", "attention/9", a_record(), 5)
    malformed_run(folder / "logs" / "broken")
    with tensorboard(folder / "logs", folder) as address:
        until(lambda: len(index(address)) == 2 and len(index(address)["run"]) == 3, 60)
        yield address


def asked(address, route, **query):
    """(status, bytes) of a route of the plugin."""
    query = urllib.parse.urlencode(query)
    try:
        with urllib.request.urlopen(f"{address}/{PLUGIN}/{route}?{query}", timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def index(address):
    return json.loads(asked(address, "index")[1])["runs"]


def test_tab_is_there(server):
    listed = json.loads(answers(f"{server}/data/plugins_listing"))["attention"]
    assert (listed["enabled"], listed["tab_name"]) == (True, "Attention")
    assert listed["loading_mechanism"]["module_path"] == "/data/plugin/attention/main.js"


def test_index_names_runs_and_sentences_in_their_order(server):
    runs = index(server)
    assert list(runs) == ["broken", "run"]
    assert list(runs["run"]) == ["attention/0", "attention/9", "attention/10"]
    assert runs["run"]["attention/10"]["label"] == " ".join(HOSTILE).strip()[:120]
    assert runs["broken"]["good"]["label"] == ""


def test_every_step_comes_back_equal(server):
    status, data = asked(server, "steps", run="run", tag="attention/0")
    assert (status, json.loads(data)["steps"]) == (200, [step * 100 for step in range(STEPS)])
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
    status, data = asked(server, "steps", run="broken", tag=tag)
    assert status == 200
    (step,) = json.loads(data)["steps"]
    status, data = asked(server, "record", run="broken", tag=tag, step=step)
    assert status == 422
    assert json.loads(data)["error"]
    assert asked(server, "record", run="broken", tag="good", step=0)[0] == 200


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
