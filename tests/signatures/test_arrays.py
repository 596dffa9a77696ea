"""Python values as arrays: types, encodings and errors."""

import numpy as np
import pytest

from keras_s2s.signatures.arrays import to_array, to_text


def test_broken_utf8_is_replaced():
    array = to_array([b"caf\xe9", b"ok"], "text")
    assert to_text(array).tolist() == ["caf\ufffd", "ok"]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (3, "int32"),
        ([1, -2], "int32"),
        ([2**40], "int64"),
        (2.5, "float32"),
        ([[1, 2.5]], "float32"),
        (True, "bool"),
        ("x", "object"),
        (np.array([1, 2]), "int64"),
        (np.float64(1), "float64"),
        (np.array(["x"]), "object"),
        (np.array([b"x"]), "object"),
        (["é", b"\xff"], "object"),
    ],
)
def test_python_values_get_tensorflows_types(value, dtype):
    array = to_array(value, "x")
    assert array.dtype == dtype
    assert array.ndim == np.ndim(np.array(value, object))


@pytest.mark.parametrize(
    ("value", "dtype", "problem"),
    [
        (["a", b"\xff", 3], None, r"x\[2\]: expected a string, got 3"),
        ([[1], [1, 2]], None, "x: expected rows of equal length"),
        (["a", 3], None, r"x\[1\]: expected a string, got 3"),
        (["a", None], None, r"x\[1\]: expected a string, got None"),
        (["ok", "\ud800"], None, r"x\[1\]: expected valid Unicode, got"),
        ([1, 2], "string", r"x\[0\]: expected a string, got 1"),
        ("5", "int32", "x: expected int32, got '5'"),
        ([None], "int32", "x: expected int32, got None"),
        (2.5, "int32", "x: expected int32, got 2.5"),
        (True, "int32", "x: expected int32, got True"),
        (True, "float32", "x: expected float32, got True"),
        ([3, 2**40], "int32", "x: expected a number that fits int32, got 1099511627776"),
        (2**32 + 3, "int32", "x: expected a number that fits int32, got 4294967299"),
        (np.array([-(2**32) + 2]), "int32", "x: expected a number that fits int32, got -42949"),
        (np.uint64(2**63), "int32", "x: expected a number that fits int32, got 9223372036854"),
        (2**70, "int32", "x: expected a number that fits int32, got an integer of 71 bits"),
        (10**400, "float32", "x: expected a number that fits float32, got an integer of 1329 b"),
        (1e300, "float32", r"x: expected a number that fits float32, got 1e\+300"),
        ([0.5, -1e300], None, r"x: expected a number that fits float32, got -1e\+300"),
    ],
)
def test_wrong_values_are_named(value, dtype, problem):
    with pytest.raises(ValueError, match=problem):
        to_array(value, "x", dtype)


def test_arrays_serve_as_lists_of_their_numbers():
    values = (np.array([1, 4]), np.array([1, 4], object), (1, np.int64(4)), np.array([1, 4], "u1"))
    for value in values:
        array = to_array(value, "x", "int32")
        assert (array.dtype, array.tolist()) == (np.int32, [1, 4])
    assert to_array(np.float64(0.5), "x", "float32").dtype == np.float32
    assert to_array(float("inf"), "x", "float32") == np.inf


def test_whole_numbers_serve_as_float():
    assert to_array([1, 2], "x", "float32").dtype == np.float32
    assert to_array([], "x", "int32").shape == (0,)


def test_an_empty_array_of_objects_is_of_strings_unless_a_type_is_named():
    empty = np.array([], object)
    assert to_array(empty, "x").dtype == np.object_
    assert to_array(empty, "x", "int32").dtype == np.int32
