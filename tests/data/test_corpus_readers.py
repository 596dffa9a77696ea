"""Corpus readers: line endings, damaged files, formats, weights and constant memory."""

import bz2
import gzip
import lzma
import os
import random
import threading
import tracemalloc

import pytest
import tensorflow as tf

from keras_s2s import data
from keras_s2s.config import Corpus
from keras_s2s.data import corpus_readers
from keras_s2s.errors import UserError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_line_endings_and_byte_order_marks(tmp_path):
    content = "\ufeffone\r\n\ufefftwo \x85\u2028\n\nfour\rfour\nlast".encode()
    expected = ["one", "\ufefftwo \x85\u2028", "", "four\rfour", "last"]
    assert list(data.read_lines(write(tmp_path / "plain", content))) == expected
    zipped = write(tmp_path / "zipped.gz", gzip.compress(content))
    assert list(data.read_lines(zipped)) == expected


def test_pairs_of_aligned_and_tabbed_files(tmp_path):
    rows = [("a b", "x"), ("", "y"), ("c", "")]
    aligned = Corpus(
        source=write(tmp_path / "s.txt", "a b\n\nc\n"),
        target=write(tmp_path / "t.gz", gzip.compress(b"x\r\ny\r\n\r\n")),
    )
    tabbed = Corpus(pairs=write(tmp_path / "p.tsv", "a b\tx\n\ty\nc\t"))
    for corpus in (aligned, tabbed):
        assert list(data.read_pairs(corpus)) == rows
        assert list(data.read_side(corpus, "source")) == ["a b", "", "c"]
        assert list(data.read_side(corpus, "target")) == ["x", "y", ""]


@pytest.mark.parametrize(
    "content,message",
    [
        (b"a\tb\nno tab\n", r"p:2: expected source<TAB>target, got no tab$"),
        (b"a\tb\n\n", r"p:2: expected source<TAB>target, got no tab$"),
        (b"a\tb\t1\tc\n", r"p:1: expected source<TAB>target, got 4 columns$"),
        (b"a\tb\tc\n", r"p:1: third column: expected a weight of at least 0, got 'c'$"),
        (b"a\tb\nabc\xff\tb\n", r"p:2: expected UTF-8, got byte 0xff at column 4$"),
        (b"", r"p: expected at least one pair, got an empty corpus$"),
    ],
)
def test_invalid_pair_files(tmp_path, content, message):
    corpus = Corpus(pairs=write(tmp_path / "p", content))
    with pytest.raises(UserError, match=message):
        list(data.read_pairs(corpus))


@pytest.mark.parametrize("counts", [(2, 5), (5, 2), (0, 1), (3000, 2999)])
def test_files_of_different_lengths(tmp_path, counts):
    s, t = (write(tmp_path / f"{n}", "w\n" * count) for n, count in zip("st", counts, strict=True))
    message = f"/s and .*/t: expected as many lines in both, got {counts[0]} and {counts[1]}$"
    with pytest.raises(UserError, match=message):
        list(data.read_pairs(Corpus(source=s, target=t)))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"/none: expected a text file, got: No such file"):
        list(data.read_lines(tmp_path / "none"))
    with pytest.raises(UserError, match=r"expected a text file, got: Is a directory"):
        list(data.read_lines(tmp_path))
    with pytest.raises(ValueError, match="side: expected source or target, got 'left'"):
        data.read_side(Corpus(pairs="p"), "left")


def test_damaged_gzip_files(tmp_path):
    r = random.Random(0)
    whole = gzip.compress("".join(f"{r.random()}\n" for _ in range(5000)).encode())
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF
    for content in (b"not gzip\n", whole[: len(whole) // 2], bytes(spoiled), whole[:-8]):
        path = write(tmp_path / "it.gz", content)
        with pytest.raises(UserError, match=r"/it\.gz: expected a whole gzip file, got: "):
            list(data.read_lines(path))


def test_readers_use_constant_memory(tmp_path):
    path = write(tmp_path / "big.gz", gzip.compress(b"some words in a line\tand more\n" * 150_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in data.read_pairs(Corpus(pairs=path)))
        assert count == 150_000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # the text has 4.5 MB
    finally:
        tracemalloc.stop()


# Weights and other formats


def weights_of(corpus):
    reader = corpus_readers.open_corpus(corpus)
    try:
        return reader.read(1000).weights.tolist()
    finally:
        reader.close()


def test_pairs_may_have_weights(tmp_path):
    objects = '{"source": "a", "target": "x"}\n{"target": "y", "weight": 0.5, "source": "b"}\n'
    objects += '{"source": "c\\u00e9 \\n", "target": "z", "weight": 2, "id": [3]}'
    by_format = {
        "table": Corpus(pairs=write(tmp_path / "p.tsv", "a\tx\nb\ty\t0.5\nc\tz\t2\n")),
        "objects": Corpus(pairs=write(tmp_path / "p.jsonl", objects)),
        "zipped": Corpus(pairs=write(tmp_path / "p.jsonl.gz", gzip.compress(objects.encode()))),
        "aligned": Corpus(
            source=write(tmp_path / "s", "a\nb\nc\n"),
            target=write(tmp_path / "t", "x\ny\nz\n"),
            weights=write(tmp_path / "w.gz", gzip.compress(b"1\n5e-1\n2")),
        ),
    }
    for corpus in by_format.values():
        assert weights_of(corpus) == [1.0, 0.5, 2.0]
        assert [target for _, target in data.read_pairs(corpus)] == ["x", "y", "z"]
    assert list(data.read_side(by_format["objects"], "source")) == ["a", "b", "cé \n"]
    assert len(list(data.read_pairs(list(by_format.values())))) == 12
    assert len(list(data.read_side(list(by_format.values()), "target"))) == 12


@pytest.mark.parametrize(
    "line,message",
    [
        ("{", r"expected a JSON object, got: Expecting property name .* at column 2$"),
        ("", r"expected a JSON object, got: an empty line$"),
        ('["a", "b"]', r"""expected a JSON object, got '\["a", "b"\]'$"""),
        ('{"source": "a", "tgt": "b"}', r"expected the keys source and target, got 'source, tg"),
        ("{}", r"expected the keys source and target, got 'no key'$"),
        ('{"source": 3, "target": "b"}', r"source: expected text, got '3'$"),
        ('{"source": "a", "target": null}', r"target: expected text, got 'null'$"),
        ('{"source": "\\ud800", "target": ""}', r"source: expected Unicode text, got a lone surr"),
        ("[" * 100_000, r"expected a JSON object, got one nested too deeply$"),
        *[
            (
                f'{{"source": "a", "target": "b", "weight": {weight}}}',
                "weight: expected a weight of",
            )
            for weight in ("-1", '"heavy"', "NaN", "Infinity", "true", "null", "[1]")
        ],
    ],
)
def test_invalid_json_objects(tmp_path, line, message):
    good = '{"source": "a", "target": "b"}\n'
    corpus = Corpus(pairs=write(tmp_path / "p.jsonl", f"{good}{line}\n{good}"))
    with pytest.raises(UserError, match=rf"p\.jsonl:2: {message}"):
        list(data.read_pairs(corpus))


@pytest.mark.parametrize("weight", ["-0.1", "heavy", "nan", "inf", "", "1 2"])
def test_invalid_weights(tmp_path, weight):
    table = Corpus(pairs=write(tmp_path / "p", f"a\tx\t1\nb\ty\t{weight}\n"))
    with pytest.raises(UserError, match=r"p:2: third column: expected a weight of at least 0, got"):
        list(data.read_pairs(table))
    s, t = write(tmp_path / "s", "a\nb\n"), write(tmp_path / "t", "x\ny\n")
    aligned = Corpus(source=s, target=t, weights=write(tmp_path / "w", f"1\n{weight}\n"))
    with pytest.raises(UserError, match=r"w:2: expected a weight of at least 0, got"):
        list(data.read_pairs(aligned))
    fewer = Corpus(source=s, target=t, weights=write(tmp_path / "w", "1\n"))
    with pytest.raises(
        UserError, match="s, .*t and .*w: expected as many lines in all, got 2, 2 a"
    ):
        list(data.read_pairs(fewer))


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
@pytest.mark.parametrize("folder", ["ram://readers", None])
def test_files_of_other_file_systems_and_damaged_ones(tmp_path, folder, name):
    path = f"{folder or tmp_path}/{name}"
    content = "\ufeff".encode() + b"a b\tx\r\n" + b"c\td\n" * 3000
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(gzip.compress(content) if name.endswith("gz") else content)
    pairs = list(data.read_pairs(Corpus(pairs=path)))
    assert (pairs[0], len(pairs)) == (("a b", "x"), 3001)
    path = f"{folder or tmp_path}/damaged-{name}"
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b"a\tb\nc\xff\td\n")
    expected = "expected a whole gzip file" if name.endswith("gz") else ":2: expected UTF-8, got b"
    with pytest.raises(UserError, match=expected):
        list(data.read_pairs(Corpus(pairs=path)))
    with pytest.raises(UserError, match=r"none: expected a text file, got: \S+"):
        list(data.read_lines(f"{folder or tmp_path}/none"))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_reader_seeks_to_any_pair(tmp_path, zipped):
    content = "\ufeff".encode() + "".join(f"é{n}\t{n}\n" for n in range(100)).encode()
    path = tmp_path / ("p.gz" if zipped else "p")
    reader = corpus_readers.open_corpus(
        Corpus(pairs=write(path, gzip.compress(content) if zipped else content))
    )
    offsets = {0: reader.offsets()}
    while reader.read(7):
        offsets[reader.num_read] = reader.offsets()
    assert reader.sequential == zipped
    for number in (7, 0, 91, 98, 14, 14):
        reader.seek(offsets[number], number)
        assert reader.read(2).targets == [f"{n}".encode() for n in (number, number + 1)]
    reader.close()


@pytest.mark.parametrize("module", [bz2, lzma, gzip])
def test_compressed_corpora_are_known_by_content(tmp_path, module):
    content = b"".join(b"%d\t%d\n" % (n, n) for n in range(3000))
    path = write(tmp_path / "packed", module.compress(content))
    reader = corpus_readers.open_corpus(Corpus(pairs=path))
    assert reader.sequential
    assert [int(block) for block in reader.read(2000).sources] == [*range(2000)]
    reader.seek((0,), 1000)
    assert reader.read(1).sources == [b"1000"]
    reader.close()
    assert reader.sequential and reader.files[0]._file is None
    objects = b'{"source": "a", "target": "x"}\n'
    path = write(tmp_path / "p.jsonl.XZ", module.compress(objects))
    assert list(data.read_pairs(Corpus(pairs=path))) == [("a", "x")]


def test_pipes_are_read_once_but_not_scanned(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    corpus = Corpus(pairs=str(tmp_path / "pipe"))
    with pytest.raises(UserError, match="pipe: expected a regular file"):
        data.scan_corpora(corpus, None, None, 10)
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=["a\tb\n"])
    writer.start()
    assert list(data.read_pairs(corpus)) == [("a", "b")]
    writer.join()
