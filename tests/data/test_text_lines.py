"""Line handling of text files, without TensorFlow."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.data import text_lines
from keras_s2s.errors import UserError


def test_line_endings_and_byte_order_mark():
    lines = [b"one\n", b"two\r\n", b"three", b"four\r\r\n", b""]
    assert [*map(text_lines.strip_line_ending, lines)] == [b"one", b"two", b"three", b"four\r", b""]
    assert text_lines.strip_byte_order_mark("\ufeff\ufeffa".encode()) == "\ufeffa".encode()


def test_invalid_utf8_is_reported_with_file_line_and_column():
    text_lines.check_utf8(["é\n".encode(), b"a"], "file")
    with pytest.raises(UserError, match="^file:8: expected UTF-8, got byte 0xff at column 2$"):
        text_lines.check_utf8([b"a\n", b"b\xff\n"], "file", first=7)


def test_decompress_and_damaged_files():
    content = gzip.compress(b"one\ntwo\n")
    assert text_lines.decompress(io.BytesIO(content)).readlines() == [b"one\n", b"two\n"]
    for damaged in (content[:-9], b"text"):
        with (
            pytest.raises(UserError, match=r"^f\.gz: expected a whole gzip file, got: "),
            text_lines.naming_file("f.gz"),
        ):
            text_lines.decompress(io.BytesIO(damaged)).read()
    with (
        pytest.raises(UserError, match="none: expected a text file, got: No such file"),
        text_lines.naming_file("none"),
    ):
        Path("none").read_bytes()
    assert [*map(text_lines.is_gzipped, ("a.gz", "a.gz.txt"))] == [True, False]


def test_the_functions_need_no_tensorflow():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('lines', {text_lines.__file__!r})\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "print('tensorflow' in sys.modules)"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "False\n", completed.stderr
