"""The cache: the same batches without the text, made once, remade when anything changed."""

import os
import random

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import data
from keras_s2s.config import Corpus
from keras_s2s.data import corpus_scan
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Whitespace

SOURCE = Whitespace(["a", "b", "c"])
TARGET = Whitespace(["b", "c", "x", "y"])


def text(r, low=1):
    return " ".join(r.choices("abcxyzq", k=r.randint(low, 9)))


@pytest.fixture
def corpora(tmp_path):
    """Two corpora, one of them with weights; 2,600 pairs, some empty or long."""
    r = random.Random(1)
    table = "".join(f"{text(r, 0)}\t{text(r)}\t{r.randint(0, 8) / 4}\n" for _ in range(2300))
    (tmp_path / "one.tsv").write_text(table)
    (tmp_path / "s").write_text("".join(f"{text(r)}\n" for _ in range(300)))
    (tmp_path / "t").write_text("".join(f"{text(r)}\n" for _ in range(300)))
    two = Corpus(source=str(tmp_path / "s"), target=str(tmp_path / "t"), weight=1.5)
    return [Corpus(pairs=str(tmp_path / "one.tsv")), two]


def statistics(corpora, cache=None, copy=False, target=TARGET, **limits):
    return data.scan_corpora(corpora, SOURCE, target, 8, cache=cache, copy=copy, **limits)


def made(corpora, found, count=60, copy=False, **options):
    options = {"batch_tokens": 90, "max_length": 8, "surveyed": found, "copy": copy} | options
    return list(data.batches(corpora, SOURCE, TARGET, **options).take(count))


def assert_same(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        tf.nest.assert_same_structure(one, other)
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("start", [0, 290])
def test_batches_are_those_of_the_text(tmp_path, corpora, copy, start):
    limits = {"max_ratio": 4.0, "unique": True, "min_length": 2}
    plain = statistics(corpora, **limits)
    cached = statistics(corpora, f"{tmp_path}/cache", copy, **limits)
    assert cached == plain  # every count
    assert plain.examples is None
    options = {"copy": copy, "start": start}
    assert_same(made(corpora, cached, **options), made(corpora, plain, **options))


def test_a_pass_in_order_is_that_of_the_text(tmp_path, corpora):
    cached = statistics(corpora, f"{tmp_path}/cache")
    plain = statistics(corpora)
    options = {"training": False, "count": -1}
    assert_same(made(corpora, cached, **options), made(corpora, plain, **options))


def test_the_cache_is_read_again_and_nothing_else(tmp_path, corpora, monkeypatch):
    cache = f"{tmp_path}/cache"
    first = statistics(corpora, cache)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(corpus_scan, "_Tally", None)  # no corpus is counted
    again = statistics(corpora, cache)
    assert again == first
    assert_same(made(corpora, again), made(corpora, first))
    heavier = [corpora[0], Corpus(source=corpora[1].source, target=corpora[1].target, weight=3)]
    assert statistics(heavier, cache).indexes[1].weight == 3  # a weight changes no example
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_cache_is_made_anew_when_something_changed(tmp_path, corpora):
    cache = tmp_path / "cache"
    statistics(corpora, str(cache))
    other = Whitespace(["b", "c", "x", "z"])
    for number, changed in enumerate([{"copy": True}, {"min_length": 2}, {"target": other}], 2):
        statistics(corpora, str(cache), **changed)
        assert len(list(cache.iterdir())) == number
    later = os.stat(corpora[0].pairs).st_mtime_ns + 10**9
    os.utime(corpora[0].pairs, ns=(later, later))
    statistics(corpora, str(cache))
    assert len(list(cache.iterdir())) == 5


def test_a_survey_is_kept_alone(tmp_path, corpora, monkeypatch):
    keep = {"keep": f"{tmp_path}/kept"}
    first = statistics(corpora, **keep)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["survey.npz"]
    other = statistics(corpora, min_length=3, **keep)  # takes its place
    assert other.too_short > first.too_short
    monkeypatch.setattr(corpus_scan, "_Tally", None)  # no corpus is counted
    assert statistics(corpora, min_length=3, copy=True, **keep) == other
    assert_same(made(corpora, other), made(corpora, statistics(corpora, min_length=3, **keep)))
    with pytest.raises(TypeError):
        statistics(corpora, **keep)


def test_a_damaged_cache_is_made_anew(tmp_path, corpora):
    cache = tmp_path / "cache"
    whole = made(corpora, statistics(corpora, str(cache)))
    (survey,) = cache.glob("*/survey.npz")
    examples = sorted(cache.glob("*/examples-*.tfrecord"))
    assert len(examples) == 2
    for path, content in [
        (survey, survey.read_bytes()[:-100]),
        (survey, b""),
        (survey, None),
        (examples[0], examples[0].read_bytes()[:-1]),
        (examples[1], None),
    ]:
        path.unlink() if content is None else path.write_bytes(content)
        assert_same(made(corpora, statistics(corpora, str(cache))), whole)


def test_a_damaged_record_is_named(tmp_path, corpora):
    cache = tmp_path / "cache"
    found = statistics(corpora, str(cache))
    path = next(cache.glob("*/examples-0.tfrecord"))
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        tf.errors.OpError, match=r"examples-0\.tfrecord: .* came a damaged one: del"
    ):
        made(corpora, found)


def test_bad_input_leaves_no_cache(tmp_path, corpora):
    with open(corpora[0].pairs, "a") as file:
        file.write("no tab\n")
    cache = tmp_path / "cache"
    with pytest.raises(UserError, match=r"one\.tsv:2301: expected source<TAB>target"):
        statistics(corpora, str(cache))
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_what_an_interruption_left_is_cleared_away(tmp_path, corpora):
    cache = tmp_path / "cache"
    statistics(corpora, str(cache))
    folder = next(cache.iterdir())
    for name, age in (("survey.npz.1.new", 7200), ("examples-0.1.new", 60)):
        (folder / name).write_text("half")
        when = (folder / "survey.npz").stat().st_mtime - age
        os.utime(folder / name, (when, when))
    statistics(corpora, str(cache))
    assert sorted(path.suffix for path in folder.iterdir()) == [".new", ".npz"] + [".tfrecord"] * 2
    assert (folder / "examples-0.1.new").exists()  # another run may be writing it


def test_examples_are_records_that_tensorflow_reads(tmp_path, corpora):
    found = statistics(corpora, f"{tmp_path}/cache")
    records = list(tf.data.TFRecordDataset(found.examples[0].path).as_numpy_iterator())
    rows = 0
    for record in records:
        features = tf.train.Example.FromString(record).features.feature
        rows += len(features["weight"].bytes_list.value[0]) // 4
    assert len(records) == 3
    assert rows == found.corpora[0].kept


def test_a_cache_that_cannot_be_written_or_does_not_fit(tmp_path, corpora):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/.*: cannot be written: .*file is not a directory"):
        statistics(corpora, f"{tmp_path}/file")
    found = statistics(corpora, f"{tmp_path}/cache")
    with pytest.raises(
        ValueError, match="surveyed: expected a cache made with copy=True, came the"
    ):
        made(corpora, found, copy=True)


def test_corpora_and_cache_on_another_file_system():
    r = random.Random(2)
    with tf.io.gfile.GFile("ram://corpus/pairs.tsv", "wb") as file:
        file.write("".join(f"{text(r)}\t{text(r)}\n" for _ in range(1500)))
    corpus = Corpus(pairs="ram://corpus/pairs.tsv")
    plain, cached = statistics(corpus), statistics(corpus, "ram://corpus/cache/")
    assert plain.pairs == 1500
    assert_same(made(corpus, cached), made(corpus, plain))
    assert statistics(corpus, "ram://corpus/cache/") == plain
