"""The runs that one TensorBoard serves to all tests of the page, and how they are asked for."""

import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from keras_s2s.tensorboard.attention_records import AttentionRecord, metadata, pack, write
from tests.tensorboard.page.browser import PLUGIN
from tests.tensorboard.page.samples import (
    ARABIC,
    CHINESE,
    ENGLISH,
    GERMAN,
    HOSTILE,
    a_record,
    large_record,
)

STEPS = (500, 1000, 1500)
NONE = ("attention",), np.zeros((1, 0, 0))
MANY = 30  # steps, more than the 10 that TensorBoard keeps of a plugin it does not know
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


def write_runs(logs):
    for run, heads in (("large", 4), ("small", 2)):
        for seed, step in enumerate(STEPS):
            fields = {"heads": heads, "part": step / 1500, "seed": seed, "score": -1.25}
            record = a_record(text="The cat sleeps.", reference="The cat slept.", **fields)
            write(logs / run, "attention/0", record, step)
    write(logs / "large", "attention/7", a_record(), 5)
    write(logs / "large", "attention/1", a_record(ARABIC, CHINESE), 1500)
    write(logs / "large", "attention/2", a_record(HOSTILE, HOSTILE, text="<b>bold</b>"), 1500)
    write(logs / "large", "attention/3", large_record(), 1500)
    malformed_run(logs / "worn")
    for step in range(MANY):
        write(logs / "run", "attention/0", a_record(seed=step), step * 100)
    few = a_record(heads=2)
    few = AttentionRecord(GERMAN, ENGLISH, {"cross": few.maps["cross"]})
    write(logs / "run", "attention/7", few, 5)  # as a recurrent model has them
    write(logs / "run", "attention/8", AttentionRecord((), (), {"cross": NONE}), 5)
    write(logs / "run", "attention/10", a_record(HOSTILE, HOSTILE), 5)
    write(logs / "run", "attention/9", a_record(), 5)


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
