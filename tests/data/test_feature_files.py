"""Files of frames, and the batches that are made of them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Corpus, TokenizerConfig
from keras_s2s.data import (
    batches,
    feature_size,
    longest_batch,
    read_features,
    read_pairs,
    scan_corpora,
)
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Features, load_pair, save_pair, train

F = 3


def examples(count=9, width=F, seed=0, dtype="float32"):
    random = np.random.default_rng(seed)
    return [random.normal(size=(1 + i % 4, width)).astype(dtype) for i in range(count)]


def npz(path, arrays):
    np.savez(path, *arrays)
    return str(path)


def packed(path, arrays):
    np.savez(path, frames=np.concatenate(arrays), lengths=[len(one) for one in arrays])
    return str(path)


def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def records(path, arrays):
    """One feature for each frame."""
    with tf.io.TFRecordWriter(str(path)) as file:
        for one in arrays:
            rows = tf.train.FeatureList(feature=[floats(frame) for frame in one])
            lists = tf.train.FeatureLists(feature_list={"values": rows})
            file.write(tf.train.SequenceExample(feature_lists=lists).SerializeToString())
    return str(path)


def flat_records(path, arrays, shapes=None):
    """All numbers of an example in one list, and its shape."""
    with tf.io.TFRecordWriter(str(path)) as file:
        for one, shape in zip(arrays, shapes or [one.shape for one in arrays], strict=True):
            sizes = tf.train.Feature(int64_list=tf.train.Int64List(value=shape))
            features = {"values": floats(one.ravel()), "shape": sizes}
            made = tf.train.Example(features=tf.train.Features(feature=features))
            file.write(made.SerializeToString())
    return str(path)


WRITERS = {"npz": npz, "packed": packed, "tfrecord": records, "tfrecords": flat_records}


def write(kind, folder, arrays, name="x"):
    return WRITERS[kind](folder / f"{name}.{'npz' if kind == 'packed' else kind}", arrays)


def lines(path, rows):
    path.write_text("".join(f"{row}\n" for row in rows))
    return str(path)


def letters(*rows):
    return train(TokenizerConfig(kind="whitespace", size=None), rows)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_every_kind_of_file_reads_as_the_same_arrays(tmp_path, kind):
    arrays = examples()
    path = write(kind, tmp_path, arrays)
    assert feature_size(path) == F
    for one, two in zip(read_features(path), arrays, strict=True):
        np.testing.assert_array_equal(one, two)
    texts = lines(tmp_path / "y.txt", [f"t{i}" for i in range(9)])
    for (frames, text), (i, two) in zip(
        read_pairs(Corpus(source=path, target=texts)), enumerate(arrays), strict=True
    ):
        np.testing.assert_array_equal(frames, two)
        assert text == f"t{i}"


@pytest.mark.parametrize("kind", list(WRITERS))
def test_batches_of_frames_and_texts(tmp_path, kind):
    arrays = examples()
    corpus = Corpus(
        source=write(kind, tmp_path, arrays), target=lines(tmp_path / "y", ["a b"] * 8 + ["b"])
    )
    source, target = Features(F), letters("a b")
    found = scan_corpora(corpus, source, target, 10)
    assert (found.pairs, found.source_tokens) == (9, sum(map(len, arrays)))
    made = list(batches(corpus, source, target, batch_tokens=8, max_length=10, training=False))
    assert len(made) == found.count_batches(8, None) > 2
    seen = 0
    for x, y, weights in made:
        features, mask = x["source"]["features"].numpy(), x["source"]["mask"].numpy()
        assert features.shape == (*mask.shape, F)
        assert mask.any(1).all()
        assert not features[~mask].any()
        assert y.shape == weights.shape == x["target"].shape
        for row, real in zip(features, mask, strict=True):
            assert any(np.array_equal(row[real], one) for one in arrays)
            seen += 1
    assert seen == 9


def test_batches_of_frames_and_frames(tmp_path):
    arrays, targets = examples(), examples(seed=1, width=2)
    corpus = Corpus(source=npz(tmp_path / "x.npz", arrays), target=npz(tmp_path / "y.npz", targets))
    pair = Features(F), Features(2)
    (x, y, weights), *_ = batches(corpus, *pair, batch_tokens=40, max_length=9, training=False)
    assert y.dtype == tf.float32
    real = weights.numpy() > 0
    for row, (one, mask) in enumerate(zip(y.numpy(), real, strict=True)):
        assert any(np.array_equal(one[mask], two) for two in targets)
        np.testing.assert_array_equal(x["target"][row, 0], [0, 0])
        np.testing.assert_array_equal(x["target"][row, 1:], one[:-1])
    shuffled = batches(corpus, *pair, batch_tokens=8, max_length=9, seed=3)
    one, two = (list(shuffled.take(3)) for _ in range(2))
    tf.nest.map_structure(np.testing.assert_array_equal, one, two)
    statistics = scan_corpora(corpus, *pair, 3)  # examples of 4 frames are skipped
    assert statistics.too_long == 2
    x, y, _ = longest_batch(corpus, *pair, statistics=statistics, batch_tokens=80)
    assert x["source"]["features"].shape[1] == 3


def test_frames_are_kept_in_a_run(tmp_path):
    save_pair(tmp_path, Features(5), letters("a"))
    source, target = load_pair(tmp_path)
    assert (source.kind, source.size, target.kind) == ("frames", 5, "whitespace")
    (tmp_path / "source.json").write_text('{"kind": "frames", "size": 0}')
    with pytest.raises(UserError, match=r"source\.json: expected a size of at least 1, came 0"):
        load_pair(tmp_path)
    with pytest.raises(ValueError, match="size: expected a positive number"):
        Features(0)


def broken(path, at=20):
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)
    return str(path)


def _bad(folder):
    good, x = examples(3), folder / "x.npz"
    bad = good[1].copy()
    bad[1, 2] = np.nan
    record = folder / "x.tfrecord"
    yield npz(x, [good[0], good[1][0]]), r"x.npz: example 2 \(arr_1\): expected real .*\[S, 3\]"
    yield npz(x, [good[0], good[1][:, :2]]), r"example 2 \(arr_1\): .*\[S, 3\], came \[2, 2\]"
    yield npz(x, [good[0], bad]), r"example 2 \(arr_1\): expected finite .* in frame 2"
    yield npz(x, [np.array([["a"]])]), r"example 1 \(arr_0\): expected real numbers \[S, F\]"
    np.savez(x, frames=np.zeros([5, 2]), lengths=[2, 2])
    yield str(x), r"x.npz: expected frames \[N, F\] and lengths \[E\] .* of sum 4"
    x.write_bytes(b"text")
    yield str(x), r"x.npz: expected an .npz archive"
    yield str(folder / "none.npz"), r"none.npz: expected an .npz archive.*: No such file"
    yield str(folder / "none.tfrecord"), r"none.tfrecord: expected a TFRecord file of frames"
    records(record, good)
    yield broken(record), r"x.tfrecord: expected a TFRecord file of frames, came: "
    yield flat_records(record, good, [(1, 3), (1, 1), (3, 3)]), r"example 2: .* shape \[1, 1\]"
    yield records(record, [good[0], good[1][:, :2]]), r"x.tfrecord: example 2: .*came \[2, 2\]"


def test_what_is_wrong_is_named(tmp_path):
    for path, message in _bad(tmp_path):
        with pytest.raises(UserError, match=message):
            list(read_features(path))
    with pytest.raises(UserError, match="expected at least one example, came none"):
        feature_size(npz(tmp_path / "x.npz", []))


def test_corpora_that_do_not_fit_are_refused(tmp_path):
    x, y = npz(tmp_path / "x.npz", examples(3)), lines(tmp_path / "y", ["a"] * 2)
    with pytest.raises(UserError, match="expected as many examples in both, came 3 and 2"):
        scan_corpora(Corpus(source=x, target=y), Features(F), letters("a"), 9)
    with pytest.raises(UserError, match=r"x.npz: expected frames of 4 numbers, came .* of 3"):
        scan_corpora(Corpus(source=x, target=y), Features(4), letters("a"), 9)
    with pytest.raises(UserError, match=r"x.npz: expected text, came frames of 3 numbers"):
        scan_corpora(Corpus(source=x, target=y), letters("a"), letters("a"), 9)
    with pytest.raises(UserError, match=r"y: expected frames of 3 numbers, came text"):
        scan_corpora(Corpus(source=x, target=y), Features(F), Features(F), 9)
