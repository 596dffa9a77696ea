"""Corpora line by line: every ending, every damage, constant memory."""

import gzip
import random
import tracemalloc

import pytest

from keras_s2s import data
from keras_s2s.config import Corpus, UserError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_lines_of_every_ending(tmp_path):
    content = "\ufeffone\r\n\ufefftwo \x85\u2028\n\nfour\rfour\nlast".encode()
    expected = ["one", "\ufefftwo \x85\u2028", "", "four\rfour", "last"]
    assert list(data.read_lines(write(tmp_path / "plain", content))) == expected
    zipped = write(tmp_path / "zipped.gz", gzip.compress(content))
    assert list(data.read_lines(zipped)) == expected


def test_pairs_of_both_layouts(tmp_path):
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
        (b"a\tb\nno tab\n", r"p:2: expected source<TAB>target, came no tab$"),
        (b"a\tb\n\n", r"p:2: expected source<TAB>target, came no tab$"),
        (b"a\tb\t1\tc\n", r"p:1: expected source<TAB>target, came 4 columns$"),
        (b"a\tb\tc\n", r"p:1: third column: expected a weight of at least 0, came 'c'$"),
        (b"a\tb\nabc\xff\tb\n", r"p:2: expected UTF-8, came byte 0xff at column 4$"),
        (b"", r"p: expected at least one pair, came an empty corpus$"),
    ],
)
def test_bad_pair_files(tmp_path, content, message):
    corpus = Corpus(pairs=write(tmp_path / "p", content))
    with pytest.raises(UserError, match=message):
        list(data.read_pairs(corpus))


@pytest.mark.parametrize("counts", [(2, 5), (5, 2), (0, 1), (3000, 2999)])
def test_unequal_files(tmp_path, counts):
    s, t = (write(tmp_path / f"{n}", "w\n" * count) for n, count in zip("st", counts, strict=True))
    message = f"/s and .*/t: expected as many lines in both, came {counts[0]} and {counts[1]}$"
    with pytest.raises(UserError, match=message):
        list(data.read_pairs(Corpus(source=s, target=t)))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"/none: expected a text file, came: No such file"):
        list(data.read_lines(tmp_path / "none"))
    with pytest.raises(UserError, match=r"expected a text file, came: Is a directory"):
        list(data.read_lines(tmp_path))
    with pytest.raises(ValueError, match="side: expected source or target, came 'left'"):
        data.read_side(Corpus(pairs="p"), "left")


def test_damaged_gzip_files(tmp_path):
    r = random.Random(0)
    whole = gzip.compress("".join(f"{r.random()}\n" for _ in range(5000)).encode())
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF
    for content in (b"not gzip\n", whole[: len(whole) // 2], bytes(spoiled), whole[:-8]):
        path = write(tmp_path / "it.gz", content)
        with pytest.raises(UserError, match=r"/it\.gz: expected a whole gzip file, came: "):
            list(data.read_lines(path))


def test_readers_keep_no_file_in_memory(tmp_path):
    path = write(tmp_path / "big.gz", gzip.compress(b"some words in a line\tand more\n" * 150_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in data.read_pairs(Corpus(pairs=path)))
        assert count == 150_000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # the text has 4.5 MB
    finally:
        tracemalloc.stop()
