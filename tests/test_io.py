"""Atomic writes, new directories, file locks and lines of text files."""

import bz2
import errno
import gzip
import lzma
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from keras_s2s import io
from keras_s2s.errors import UserError
from keras_s2s.io import acquire_lock, atomic_path, flush_tree, new_directory, write_atomically


def test_write_atomically_replaces_text_and_bytes(tmp_path):
    path = tmp_path / "a.txt"
    write_atomically(path, "Straße\n")
    assert path.read_bytes() == b"Stra\xc3\x9fe\n"
    write_atomically(str(path), b"\xff")
    assert path.read_bytes() == b"\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_atomic_path_keeps_the_old_file_when_the_block_raises(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space left on device: '.*a.txt'"), atomic_path(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_new_directory_appears_complete_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "run"
    with pytest.raises(KeyError), new_directory(path) as temporary:
        (temporary / "a").write_text("a")
        raise KeyError
    assert os.listdir(tmp_path / "deep") == []
    with new_directory(path) as temporary:
        (temporary / "a").write_text("a")
        assert not path.exists()
    assert os.listdir(path) == ["a"]
    expected = "run: expected a directory that does not exist yet, got one"
    with pytest.raises(UserError, match=expected), new_directory(path):
        pass


def test_a_lock_is_held_by_one_process(tmp_path):
    assert acquire_lock(tmp_path / "missing") is None
    descriptor = acquire_lock(tmp_path)
    code = "import sys; from keras_s2s.io import acquire_lock; print(acquire_lock(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

    def lock_in_another_process():
        return subprocess.run(command, cwd=root, capture_output=True, text=True).stdout.strip()

    assert lock_in_another_process() == "None"
    os.close(descriptor)
    assert lock_in_another_process().isdigit()


def test_flush_tree_accepts_nested_directories(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("c")
    flush_tree(tmp_path)


@pytest.mark.parametrize("module", ["keras_s2s.io", "keras_s2s.errors", "keras_s2s.config"])
def test_no_import_of_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules)"
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_line_endings_and_byte_order_mark():
    lines = [b"one\n", b"two\r\n", b"three", b"four\r\r\n", b""]
    assert [*map(io.strip_line_ending, lines)] == [b"one", b"two", b"three", b"four\r", b""]
    assert io.strip_byte_order_mark("\ufeff\ufeffa".encode()) == "\ufeffa".encode()


def test_invalid_utf8_is_reported_with_file_line_and_column():
    io.check_utf8(["é\n".encode(), b"a"], "file")
    with pytest.raises(UserError, match="^file:8: expected UTF-8, got byte 0xff at column 2$"):
        io.check_utf8([b"a\n", b"b\xff\n"], "file", first=7)


TEXT = b"one\ntwo\n"
COMPRESSIONS = {
    "gzip": (gzip.compress, "gz"),
    "bzip2": (bz2.compress, "bz2"),
    "xz": (lzma.compress, "xz"),
}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_compressed_texts_are_read_by_content(kind):
    compress, suffix = COMPRESSIONS[kind]
    for name in ("packed", f"f.{suffix}", f"f.{suffix.upper()}", "f.txt"):
        text = io.open_text(BytesIO(compress(TEXT) + compress(b"three")), name)
        assert text.readlines() == [b"one\n", b"two\n", b"three"]
    assert io.strip_compression_suffix(f"a.jsonl.{suffix.upper()}") == "a.jsonl"


def test_plain_texts_are_read_as_they_are():
    for content in (b"", b"a", TEXT, b"a\r\nb\r\n", b"a\r", b"a\0b\n", "\ufeffa".encode()):
        assert io.open_text(BytesIO(content), "f").read() == content
    assert io.strip_compression_suffix("a.gz.txt") == "a.gz.txt"


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_damaged_compressed_files(kind):
    compress, suffix = COMPRESSIONS[kind]
    for damaged in (compress(TEXT)[:-9], b"text"):
        with (
            pytest.raises(UserError, match=rf"^f\.{suffix}: expected a whole {kind} file, got: "),
            io.naming_file(f"f.{suffix}"),
        ):
            io.open_text(BytesIO(damaged), f"f.{suffix}").read()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\x28\xb5\x2f\xfd\x24", "got a zstd file; decompress it first: zstd -d f$"),
        ("a\nb\n".encode("utf-16"), "got UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 f$"),
        ("a\nb\n".encode("utf-16-be"), "got UTF-16BE; convert it first: iconv -f UTF-16BE"),
        ("some text\n".encode("utf-16-le"), "got UTF-16LE; convert it"),
        ("a\nb\n".encode("utf-32"), "got UTF-32; convert it"),
        (b"one\rtwo\r", r"lines end in \\r alone; convert it first: tr '\\r' '\\n' < f$"),
    ],
)
def test_texts_of_other_kinds_are_named_with_the_remedy(content, error):
    for stored in (content, gzip.compress(content)):
        if b"\x28\xb5" not in content or stored is content:
            with pytest.raises(UserError, match=rf"^f: expected .*{error}"):
                io.open_text(BytesIO(stored), "f")


def test_first_lines_of_other_kinds_are_named():
    for line, name in ((gzip.compress(b"a"), "a gzip file"), ("a".encode("utf-16"), "UTF-16")):
        with pytest.raises(UserError, match=f"^standard input:1: expected UTF-8, got {name}; "):
            list(io.decode_lines([line], "standard input"))


def test_missing_files_are_named():
    with (
        pytest.raises(UserError, match="none: expected a text file, got: No such file"),
        io.naming_file("none"),
    ):
        Path("none").read_bytes()


def test_pipes_and_devices_are_not_rereadable(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path, tmp_path / "missing", "gs://bucket/file"):
        io.check_rereadable(path)
    with pytest.raises(UserError, match="pipe: expected a regular file.* got a pipe; write its"):
        io.check_rereadable(tmp_path / "pipe")
    with pytest.raises(UserError, match="^/dev/null: expected a regular file.* got a device"):
        io.check_rereadable(os.devnull)


def test_decoded_lines():
    lines = ["\ufeffone\r\n".encode(), "\ufefftwo \x85\n".encode(), b"", b"a\xff"]
    decoded = io.decode_lines(lines, "file")
    assert [next(decoded) for _ in range(3)] == ["one", "\ufefftwo \x85", ""]
    with pytest.raises(UserError, match="^file:4: expected UTF-8, got byte 0xff at column 2$"):
        next(decoded)
    assert list(io.strip_lines(lines[:2])) == [b"one", "\ufefftwo \x85".encode()]


@pytest.mark.parametrize("name", ["a[1]", "back\\slash", "[", "*?{}~ %"])
def test_path_without_wildcards(tmp_path, name):
    directory = tmp_path / name
    directory.mkdir()
    (directory / "file").write_text("text")
    with io.path_without_wildcards(directory) as path:
        assert (path / "file").read_text() == "text"
        assert not io.has_wildcards(path)
    assert (path == directory) == (not io.has_wildcards(name))
    assert path == directory or not path.parent.exists()
    assert (directory / "file").exists()


def test_temporary_directory_with_wildcards_is_refused(tmp_path, monkeypatch):
    for name in ("a[1]", "tmp[2]"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(io.tempfile, "tempdir", str(tmp_path / "tmp[2]"))
    expected = (
        r"a\[1\]: expected a path without \[ and \\, got one: rename the directory, or set TMPDIR"
    )
    with (
        pytest.raises(UserError, match=expected),
        io.path_without_wildcards(tmp_path / "a[1]"),
    ):
        pass


def test_io_needs_no_tensorflow():
    code = "import sys, keras_s2s.io; print('tensorflow' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "False\n", completed.stderr
