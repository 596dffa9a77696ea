"""Records of attention: packed, unpacked, written to event files and read back."""

import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from keras_s2s.tensorboard.attention_records import (
    PLUGIN,
    AttentionRecord,
    label,
    metadata,
    pack,
    unpack,
    write,
)

SOURCE = ("▁der", "▁Hund", "läuft", "</s>")
TARGET = ("▁the", '<script>alert("x")</script>', "\u202eevil\n")


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype("float32")


def a_record(heads=3, source=SOURCE, target=TARGET, **fields):
    random, names = np.random.default_rng(3), tuple(f"layer 1 head {i + 1}" for i in range(heads))
    sizes = {"cross": (target, source), "self": (target, target), "encoder": (source, source)}
    maps = {
        kind: (names, softmax(4 * random.normal(size=(heads, len(rows), len(columns)))))
        for kind, (rows, columns) in sizes.items()
    }
    return AttentionRecord(source, target, maps, **fields)


def assert_same(given, record):
    for name in ("source_tokens", "target_tokens", "reference", "text", "score"):
        assert getattr(given, name) == getattr(record, name)
    assert list(given.maps) == list(record.maps)
    for kind, (names, weights) in record.maps.items():
        assert given.maps[kind][0] == names
        bound = weights.max(-1, keepdims=True, initial=0.0) / 510 * 1.0001
        assert given.maps[kind][1].shape == weights.shape
        assert (abs(given.maps[kind][1] - weights) <= bound).all()


def test_record_comes_back_within_the_error_named():
    record = a_record(reference="the dog\nruns", text="the", score=-1.25)
    assert_same(unpack(pack(record)), record)


def test_zeros_and_the_greatest_weight_of_a_row_come_back():
    weights = np.tril(softmax(np.random.default_rng(0).normal(size=(2, 3, 3))))
    record = AttentionRecord((), TARGET, {"self": (("a", "b"), weights)})
    given = unpack(pack(record)).maps["self"][1]
    assert (given[weights == 0.0] == 0.0).all()
    np.testing.assert_allclose(given.max(-1), weights.max(-1), rtol=1e-6)


def test_diffuse_attention_keeps_its_shape():
    weights = softmax(np.random.default_rng(0).normal(size=(1, 1, 200)) * 0.1)
    record = AttentionRecord(("x",) * 200, ("y",), {"cross": (("a",), weights)})
    np.testing.assert_allclose(unpack(pack(record)).maps["cross"][1], weights, rtol=0.01)


@pytest.mark.parametrize("source, target", [((), ()), (SOURCE, ()), ((), TARGET)])
def test_empty_sentences_are_records(source, target):
    record = AttentionRecord(
        source, target, {"cross": (("a",), np.zeros((1, len(target), len(source))))}
    )
    assert_same(unpack(pack(record)), record)


def test_half_of_a_surrogate_pair_is_replaced():
    assert unpack(pack(AttentionRecord(("a\ud800",), (), {}))).source_tokens == ("a?",)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"maps": {"cross": (("a",), np.zeros((1, 3, 3)))}}, r"expected weights \[1, 3, 4\]"),
        ({"maps": {"cross": (("a",), np.full((1, 3, 4), np.nan))}}, "finite weights"),
        ({"maps": {"cross": (("a",), np.full((1, 3, 4), -0.1))}}, "finite weights"),
        ({"maps": {"crossed": (("a",), np.zeros((1, 3, 4)))}}, "kinds cross, self, encoder"),
        ({"maps": {}, "source_tokens": "abc"}, "source_tokens: expected strings"),
        ({"maps": {}, "target_tokens": [1]}, "target_tokens: expected strings"),
        ({"maps": {}, "score": float("nan")}, "score: expected a finite number"),
        ({"maps": {}, "text": 3}, "text: expected a string"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        AttentionRecord(**{"source_tokens": SOURCE, "target_tokens": TARGET} | fields)


def with_header(change, body=b""):
    header = {"source_tokens": ["a"], "target_tokens": ["b"], "reference": None, "text": None}
    header |= {"score": None, "maps": [{"kind": "cross", "names": ["h"], "shape": [1, 1, 1]}]}
    text = json.dumps(header | change).encode()
    return b"KSA1" + struct.pack("<I", len(text)) + text + zlib.compress(body)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "start with"),
        (b"KSA1", "start with"),
        (b"KSA1\xff\xff\xff\xff{}", "header of 4294967295 bytes"),
        (b"KSA1\x02\0\0\0[]", "expected a header"),
        (b"KSA1\x02\0\0\0{}", "the header of a record"),
        (with_header({}, b"1234"), "5 bytes of weights"),
        (with_header({}, bytes(1 << 20)), "5 bytes of weights"),
        (with_header({}, b"\0\0\xc0\x7f\1"), "finite weights"),
        (
            with_header(
                {"maps": [{"kind": "cross", "names": ["h"], "shape": [1, 2, 1]}]}, bytes(10)
            ),
            "1, 1, 1",
        ),
        (
            with_header({"maps": [{"kind": "cross", "names": [], "shape": [1 << 20] * 3}]}),
            "at most",
        ),
        (
            with_header({"maps": [{"kind": "cross", "names": [], "shape": [-1, 1, 1]}]}),
            "expected shapes",
        ),
        (
            with_header({"maps": [{"kind": [], "names": [], "shape": [1, 1, 1]}]}),
            "the header of a record",
        ),
        (with_header({"maps": 3}), "the header of a record"),
        (with_header({"source_tokens": 3}, bytes(5)), "the fields of a record"),
        (with_header({"score": "high"}, bytes(5)), "could not convert|the fields of a record"),
    ],
)
def test_malformed_bytes_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        unpack(data)


def test_cut_or_changed_bytes_never_raise_anything_else():
    data, random = pack(a_record()), np.random.default_rng(1)
    for size in range(0, len(data), 7):
        with pytest.raises(ValueError):
            unpack(data[:size])
    for _ in range(500):
        changed = bytearray(data)
        changed[random.integers(len(data))] = random.integers(256)
        try:
            unpack(changed)
        except ValueError:
            pass


def test_event_file_reads_back_equal(tmp_path):
    record = a_record(score=-2.0)
    path = write(tmp_path / "run", "attention/0", record, step=7)
    first, event = map(Event.FromString, RawEventFileLoader(str(path)).Load())
    assert first.file_version == "brain.Event:2"
    (value,) = event.summary.value
    assert (event.step, value.tag) == (7, "attention/0")
    assert value.metadata == metadata(record)
    assert value.metadata.plugin_data.plugin_name == PLUGIN
    assert json.loads(value.metadata.plugin_data.content)["source"] == "der Hundläuft"
    assert_same(unpack(value.tensor.string_val[0]), record)


@pytest.mark.parametrize(
    "tokens, expected",
    [
        (["a", "b", "</s>"], "ab"),
        (["zwei", "Hunde", "</s>"], "zwei Hunde"),
        (["<2de>", "\u2581two", "\u2581dog", "s"], "<2de> two dogs"),
        (["</s>"], "</s>"),
        ([], ""),
        (["x" * 200], "x" * 120),
    ],
)
def test_a_sentence_is_named_by_its_source(tokens, expected):
    assert label(AttentionRecord(tokens, (), {})) == expected


def test_neither_records_nor_the_page_wait_for_tensorflow():
    code = "import sys, keras_s2s.tensorboard.records\n"
    code += "print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
