"""Corpus files on the local disk; Apache Beam is not needed."""

import gzip
from pathlib import Path

import pytest

from keras_s2s.serving.beam import io


def test_inputs_are_sorted_and_unique(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt.gz", "sub/a.txt", "x[1].txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    inputs = io.find_inputs(["./b.txt", "*.txt", "*.gz", "x[1].txt"])
    assert inputs == ["a.txt.gz", "./b.txt", "x[1].txt"]
    assert io.find_inputs(["**/*.txt"]) == ["b.txt", "sub/a.txt", "x[1].txt"]
    for pattern in ("c.txt", "*.tsv", "sub"):
        with pytest.raises(ValueError, match="^--input .* got none$"):
            io.find_inputs([pattern])


@pytest.mark.parametrize(
    ("prefix", "inputs", "suffix", "outputs", "errors"),
    [
        ("out/", ["d/a.txt.gz", "d/b"], ".jsonl", ["out/a.txt.jsonl", "out/b.jsonl"], "out/"),
        ("out/de", ["d/a.txt"], "", ["out/de-a.txt"], "out/de."),
        ("o/", ["d/x/a", "d/y/a"], "", ["o/x/a", "o/y/a"], "o/"),
        ("o/", ["gs://b/c/x/a", "gs://b/c/a"], "", ["o/x/a", "o/a"], "o/"),
        ("o/", ["gs://b/a", "gs://c/a"], "", ["o/b/a", "o/c/a"], "o/"),
    ],
    ids=range(5),
)
def test_outputs_are_named_after_inputs(prefix, inputs, suffix, outputs, errors):
    assert io.name_outputs(prefix, inputs, suffix) == (outputs, f"{errors}errors.jsonl")


def test_outputs_do_not_overwrite_other_files():
    with pytest.raises(ValueError, match="^--output o/: the output o/a for d/a.gz is that for d/a"):
        io.name_outputs("o/", ["d/a", "d/a.gz"], "")
    with pytest.raises(ValueError, match="the output ./d/a for d/a is the input d/a too"):
        io.name_outputs("./d/", ["d/a"], "")
    with pytest.raises(ValueError, match="for errors is the input d/errors.jsonl too"):
        io.name_outputs("d/", ["d/errors.jsonl"], ".x")


def test_line_ends_and_byte_order_mark(tmp_path):
    content = b"\xef\xbb\xbfa\r\n\n\xff\nb\x85c\rd"
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content[:6]) + gzip.compress(content[6:]))
    for name in ("a", "a.gz"):
        lines = list(io.read_lines(str(tmp_path / name)))
        assert lines == [b"a", b"", b"\xff", b"b\x85c\rd"]


def test_damaged_file_is_named(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\nb\n" * 9)[:-4])
    with pytest.raises(ValueError, match=rf"^{path}:\d+: cannot be read: Compressed file ended"):
        list(io.read_lines(str(path)))
    with pytest.raises(ValueError, match=":1: cannot be read: .*No such file"):
        list(io.read_lines(str(tmp_path / "none")))
