"""Conversion between arrays and TensorProto, compared with TensorFlow's."""

import time
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.signatures.arrays import to_array, to_text

NUMBERS = ["float32", "float64", "float16", "int8", "int16", "int32", "int64"]
NUMBERS += ["uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool"]


def example_array(dtype, shape):
    values = np.random.default_rng(3).integers(0, 100, shape)
    if dtype.startswith("complex"):
        return (values + 2j).astype(dtype)
    return (values > 50) if dtype == "bool" else values.astype(dtype)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_round_trip_of_numbers(dtype, shape):
    array = example_array(dtype, shape)
    own, reference = messages.TensorProto(), tensor_pb2.TensorProto()
    tensor_codec.encode(array, own)
    tensor_codec.encode(array, reference)
    for decoded in (
        tensor_codec.decode(own),
        tensor_codec.decode(reference),
        tf.make_ndarray(reference),
    ):
        assert decoded.dtype == array.dtype
        np.testing.assert_array_equal(decoded, array)
    assert reference.tensor_content == b""
    assert own.SerializeToString() == reference.SerializeToString()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_tensorflows_protos_are_decoded(dtype):
    array = example_array(dtype, (2, 3))
    np.testing.assert_array_equal(tensor_codec.decode(tf.make_tensor_proto(array)), array)
    packed = tf.make_tensor_proto(np.zeros_like(array))
    packed.ClearField("int_val")
    packed.tensor_content = array.tobytes()
    np.testing.assert_array_equal(tensor_codec.decode(packed), array)
    np.testing.assert_array_equal(tf.make_ndarray(packed), array)


def test_extreme_numbers():
    for array in (
        np.array([np.inf, -np.inf, np.nan, 1e-45, 3.4e38], np.float32),
        np.array([-(2**63), 2**63 - 1], np.int64),
        np.array([0, 2**64 - 1], np.uint64),
        np.array([-128, 127], np.int8),
    ):
        proto = messages.TensorProto()
        tensor_codec.encode(array, proto)
        np.testing.assert_array_equal(tensor_codec.decode(proto), array)


def test_bfloat16_is_decoded_to_float32():
    array = np.asarray(tf.constant([1.5, -2.0, 3e38], tf.bfloat16))
    proto = messages.TensorProto()
    tensor_codec.encode(array, proto)
    assert proto.dtype == types_pb2.DT_BFLOAT16
    decoded = tensor_codec.decode(proto)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, array.astype(np.float32))
    packed = tf.make_tensor_proto(array)
    np.testing.assert_array_equal(tensor_codec.decode(packed), array.astype(np.float32))


def test_round_trip_of_strings():
    array = to_array([["a", "", "héllo"], ["😀", "a\0", "b\n"]], "text")
    proto = tensor_pb2.TensorProto()
    tensor_codec.encode(array, proto)
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    assert to_text(tensor_codec.decode(proto)).tolist() == [
        ["a", "", "héllo"],
        ["😀", "a\0", "b\n"],
    ]


def proto(dtype, shape, **fields):
    message = tensor_pb2.TensorProto(dtype=getattr(types_pb2, f"DT_{dtype}"), **fields)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


UNUSUAL = [
    proto("FLOAT", [3], float_val=[2.5]),
    proto("FLOAT", [4], float_val=[1, 2]),
    proto("FLOAT", [2], float_val=[1, 2, 3]),
    proto("FLOAT", [2, 2]),
    proto("FLOAT", [0], float_val=[1]),
    proto("INT32", [], int_val=[7]),
    proto("INT32", [2], int_val=[7], tensor_content=np.array([1, 2], np.int32).tobytes()),
    proto("UINT8", [2], int_val=[255, 1]),
    proto("INT64", [3], int64_val=[-5]),
    proto("BOOL", [3], bool_val=[True]),
    proto("BOOL", [2]),
    proto("COMPLEX64", [3], scomplex_val=[1, 2, 3, 4]),
    proto("COMPLEX128", [1], dcomplex_val=[1, 2, 3, 4]),
    proto("HALF", [2], half_val=[15360]),
    proto("UINT64", [2], uint64_val=[2**64 - 1]),
    proto("STRING", [3], string_val=[b"x"]),
    proto("STRING", [2]),
    proto("STRING", [1], string_val=[b"x", b"y"]),
    proto("STRING", [2, 1], tensor_content=b"\x01\x81\x01a" + b"b" * 129),
    proto("STRING", [0], tensor_content=b"zzz"),
]


@pytest.mark.parametrize("message", UNUSUAL, ids=range(len(UNUSUAL)))
def test_unusual_protos_are_decoded_as_by_tensorflow(message):
    dtype = tf.dtypes.as_dtype(message.dtype)
    expected = np.asarray(tf.io.parse_tensor(message.SerializeToString(), dtype).numpy())
    decoded = tensor_codec.decode(message)
    assert decoded.shape == expected.shape
    np.testing.assert_array_equal(decoded, expected)


def test_unknown_rank_is_a_scalar():
    message = proto("INT32", [], int_val=[4, 5])
    message.tensor_shape.unknown_rank = True
    assert tensor_codec.decode(message).tolist() == 4


LARGE = [
    proto("FLOAT", [2**29], float_val=[1]),
    proto("FLOAT", [2**20 + 2], float_val=[1]),
    proto("BOOL", [2**62]),
    proto("INT64", [2**40, 2**40]),
    proto("COMPLEX128", [2**28], dcomplex_val=[1, 2]),
    proto("HALF", [2**28], half_val=[1]),
    proto("STRING", [2**28], string_val=[b""]),
    proto("STRING", [2**18], string_val=[b"x" * 1000]),  # the string's bytes are repeated too
    proto("DOUBLE", [2**29], tensor_content=b"12345678"),
    proto("STRING", [2**50], tensor_content=b"\0" * 9),
    proto("FLOAT", [0, *[2**62] * 3]),
    proto("FLOAT", [2**62] * 50_000),  # the product of the sizes has 3 million bits
    proto("FLOAT", [1] * 65, float_val=[1]),
]


@pytest.mark.parametrize("message", LARGE, ids=range(len(LARGE)))
def test_large_shape_is_refused_before_memory_is_allocated(message):
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ValueError):
            tensor_codec.decode(message)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 5


def test_values_may_be_left_out_up_to_a_bound():
    array = tensor_codec.decode(proto("FLOAT", [2**20], float_val=[1.5]))
    assert array.shape == (2**20,)
    assert (array == 1.5).all()
    with pytest.raises(tensor_codec.TensorSizeError, match="536,870,912 elements, got 1: the last"):
        tensor_codec.decode(LARGE[0])


INVALID_PROTOS = [
    (proto("INVALID", [1]), "has type 0, which cannot be read"),
    (proto("RESOURCE", [1]), "has type 20, which"),
    (proto("FLOAT", [-1], float_val=[1]), r"shape \[-1\]; expected no negative"),
    (proto("FLOAT", [2], tensor_content=b"123"), "3 bytes; expected 8"),
    (proto("STRING", [2], tensor_content=b"\x01"), "ends within the lengths"),
    (proto("STRING", [1], tensor_content=b"\xff\xff\xff\xff\xff\xff"), "ends within"),
    (proto("STRING", [1], tensor_content=b"\x05ab"), "3 bytes; its strings need"),
]


@pytest.mark.parametrize(("message", "error"), INVALID_PROTOS, ids=range(len(INVALID_PROTOS)))
def test_invalid_protos_are_rejected_as_by_tensorflow(message, error):
    with pytest.raises(ValueError, match=error):
        tensor_codec.decode(message)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.parse_tensor(message.SerializeToString(), tf.float32)


def test_unsupported_type_is_named():
    with pytest.raises(ValueError, match="array of datetime64"):
        tensor_codec.encode(np.array(["2020-01-01"], np.datetime64), messages.TensorProto())
