"""LiteRT files hold what is equal once, and say what they said before."""

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_s2s.export.litert.converter import add_metadata, check_operations, convert
from keras_s2s.export.litert.embedding_quantization import quantize_embeddings
from keras_s2s.export.litert.model_serialization import ALIGNMENT, parse_model, serialize_model

SIZE, WIDTH = 500, 128
TABLE = (np.random.default_rng(1).normal(size=(SIZE, WIDTH)) * 0.1).astype(np.float32)
TABLE[7] *= 20.0  # by one scale for all, other rows would lose most
IDS, X = np.array([[3, 7, 499]], np.int32), np.ones([2, WIDTH], np.float32) / 16.0


def once(table, ids, x):
    return {"rows": tf.gather(table, ids), "product": tf.matmul(x, table, transpose_b=True)}


def twice(table, ids, x):
    return once(table, ids, x) | {"again": tf.gather(table, ids + 0) * 2.0}


def loop(table, ids, x):
    """Looks up before a loop and in it, so that the loop carries the table."""

    def body(i, total):
        rows = tf.reduce_sum(tf.gather(table, ids + i * 0), 1)
        return i + 1, total + tf.matmul(rows, table, transpose_b=True)

    zeros = tf.zeros([tf.shape(ids)[0], SIZE])
    total = tf.while_loop(lambda i, _: i < tf.shape(ids)[1], body, [0, zeros])[1]
    return once(table, ids, x) | {"total": total}


def summed(table, ids, x):
    return once(table, ids, x) | {"sum": tf.reduce_sum(table * tf.reduce_mean(x), 1)}


def made(function, quantization="dynamic_int8"):
    table = tf.Variable(TABLE)
    specs = tf.TensorSpec([None, None], tf.int32, "ids"), tf.TensorSpec([None, WIDTH], name="x")
    graph = tf.function(lambda ids, x: function(table, ids, x)).get_concrete_function(*specs)
    return convert({"main": graph}, [table], quantization)


def answers(content):
    return Interpreter(model_content=content).get_signature_runner("main")(ids=IDS, x=X)


@pytest.mark.parametrize("function", [once, twice, loop])
def test_a_tied_table_of_int8_lies_in_a_file_once(function):
    content = made(function)
    assert SIZE * WIDTH < len(content) < 1.6 * SIZE * WIDTH
    check_operations(content)
    found = answers(content)
    expected = {n: x.numpy() for n, x in function(TABLE, tf.constant(IDS), tf.constant(X)).items()}
    assert found.keys() == expected.keys()
    step = np.abs(TABLE[IDS]).max(-1, keepdims=True) / 127  # of the scale of each row
    assert np.all(np.abs(found["rows"] - TABLE[IDS]) <= 0.51 * step)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=0.02 * np.abs(value).max())


def test_a_table_that_is_used_otherwise_stays():
    content = made(summed)
    assert len(content) > 2 * SIZE * WIDTH
    np.testing.assert_allclose(answers(content)["sum"], TABLE.sum(1) / 16.0, atol=0.05)


@pytest.mark.parametrize("kind", ["none", "float16", "dynamic_int8"])
def test_packing_again_changes_nothing(kind):
    content = made(loop, kind)
    again = serialize_model(parse_model(content))
    assert len(again) == len(content)
    for name, value in answers(content).items():
        np.testing.assert_array_equal(answers(again)[name], value)


def test_constants_are_aligned_and_entries_kept():
    content = add_metadata(made(once), {"one": b"abc", "two": {"a": 1}, "three": b"abc"})
    model = schema.Model.GetRootAs(content)
    entries = {}
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        entries[entry.Name()] = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert (entries[b"one"], entries[b"two"], entries[b"three"]) == (b"abc", b'{"a": 1}', b"abc")
    whole = np.frombuffer(content, np.uint8)
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            place = buffer.DataAsNumpy().ctypes.data - whole.ctypes.data
            assert place % ALIGNMENT == 0


def test_large_buffers_behind_the_flatbuffer_are_read():
    content = made(once, "none")
    model = parse_model(content)
    moved = [one for one in model.buffers if one.data is not None and len(one.data) > 10_000]
    kept = [bytes(one.data) for one in moved]
    for one in moved:
        one.data, one.offset, one.size = None, 2**32, 2**32  # as wide as what comes
    sizes = [len(data) for data in kept]
    start = len(_written(model))
    for number, one in enumerate(moved):
        one.offset, one.size = start + sum(sizes[:number]), sizes[number]
    outside = _written(model) + b"".join(kept)
    assert moved
    assert len(outside) == start + sum(sizes)
    again = serialize_model(parse_model(outside))
    for name, value in answers(content).items():
        np.testing.assert_array_equal(answers(again)[name], value)


def _written(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def lookups(table, ids, x):
    """Two look-ups and one in a loop, of a table that nothing is tied to."""

    def body(i, total):
        return i + 1, total + tf.reduce_sum(tf.gather(table, ids + i * 0), 1)

    zeros = tf.zeros([tf.shape(ids)[0], WIDTH])
    total = tf.while_loop(lambda i, _: i < tf.shape(ids)[1], body, [0, zeros])[1]
    again = tf.gather(table, ids + 0) + x[0]
    return {"rows": tf.gather(table, ids), "again": again, "total": total}


def test_a_table_that_is_looked_up_alone_becomes_int8_by_rows():
    model = parse_model(made(lookups, "none"))
    quantize_embeddings(model)
    content = serialize_model(model)
    assert SIZE * WIDTH < len(content) < 1.3 * SIZE * WIDTH
    check_operations(content)
    found = answers(content)
    step = np.abs(TABLE[IDS]).max(-1, keepdims=True) / 127
    assert np.all(np.abs(found["rows"] - TABLE[IDS]) <= 0.51 * step)
    np.testing.assert_allclose(found["total"], 3 * found["rows"].sum(1), rtol=1e-5)
    model = parse_model(made(once, "none"))  # tied: the product needs the floats
    quantize_embeddings(model)
    np.testing.assert_array_equal(answers(serialize_model(model))["rows"], TABLE[IDS])


@pytest.mark.parametrize(
    ("kind", "error", "size"), [("weight_int8", 0.02, 1.6), ("int4", 0.3, 2.2)]
)
def test_what_the_quantizer_makes_is_small_and_runs(kind, error, size):
    pytest.importorskip("ai_edge_quantizer")
    content = made(loop, kind)
    assert len(content) < size * SIZE * WIDTH
    found, plain = answers(content), answers(made(loop, "none"))
    for name, value in plain.items():
        np.testing.assert_allclose(found[name], value, atol=error * np.abs(value).max())
