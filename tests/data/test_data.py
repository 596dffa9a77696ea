"""The model's inputs, surveys and batches, against plain Python."""

import itertools
import random

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import data
from keras_s2s.config import Corpus
from keras_s2s.data.batch_sampler import batch_sizes
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Characters, Whitespace

SOURCE = Whitespace(["a", "b", "c", "</s>"])
TARGET = Whitespace(["b", "c", "x", "y", "z"])  # V = 9: "a" and all else is outside
V = TARGET.size


def pair_file(folder, rows, after=""):
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in rows) + after, encoding="utf-8")
    return Corpus(pairs=str(path))


def ragged(texts):
    return SOURCE.pieces(tf.constant(texts, tf.string))


# The model's inputs


def plain_ids(tokenizer, pieces):
    names = tokenizer.vocabulary[4:]
    return [4 + names.index(p) if p in names else 1 for p in pieces]


def plain_copies(source, pieces):
    ids = plain_ids(TARGET, pieces)
    return [
        V + source.index(p) if i == 1 and p in source else i
        for p, i in zip(pieces, ids, strict=True)
    ]


def padded(rows, filler=0):
    width = max(map(len, rows))
    return [row + [filler] * (width - len(row)) for row in rows]


def made_up_texts(seed, count=40):
    r = random.Random(seed)
    words = ["a", "b", "c", "x", "z", "q", "q\u0301", "<unk>", "</s>", "中"]
    return [" ".join(r.choices(words, k=r.randrange(12))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_make_source_equals_plain_python(seed):
    texts = made_up_texts(seed)
    rows = [text.split() for text in texts]
    made = data.make_source(ragged(texts), SOURCE, TARGET, copy=True)
    assert made["ids"].numpy().tolist() == padded([[*plain_ids(SOURCE, r), 3] for r in rows])
    assert made["mask"].numpy().tolist() == padded([[True] * (len(r) + 1) for r in rows], False)
    assert made["copy_ids"].numpy().tolist() == padded([[*plain_copies(r, r), 3] for r in rows])
    assert [made[k].dtype for k in ("ids", "mask", "copy_ids")] == [tf.int32, tf.bool, tf.int32]
    plain = data.make_source(ragged(texts), SOURCE, TARGET)
    assert sorted(plain) == ["ids", "mask"]


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_make_example_equals_plain_python(seed, copy):
    sources, targets = made_up_texts(seed), made_up_texts(seed + 100)
    made = data.make_example(ragged(sources), ragged(targets), SOURCE, TARGET, copy)
    (x, y, weight), pairs = made, list(zip(sources, targets, strict=True))
    labels = [
        plain_copies(s.split(), t.split()) if copy else plain_ids(TARGET, t.split())
        for s, t in pairs
    ]
    assert y.numpy().tolist() == padded([[*row, 3] for row in labels])
    assert x["target"].numpy().tolist() == padded([[2, *row] for row in labels])
    assert weight.numpy().tolist() == padded([[1.0] * (len(row) + 1) for row in labels], 0.0)
    expected = data.make_source(ragged(sources), SOURCE, TARGET, copy)
    assert sorted(x["source"]) == sorted(expected)
    for key, value in expected.items():
        assert x["source"][key].numpy().tolist() == value.numpy().tolist()
    assert (y.dtype, x["target"].dtype, weight.dtype) == (tf.int32, tf.int32, tf.float32)
    assert copy == bool((y.numpy() >= V).any())


def test_copies_by_hand():
    made = data.make_source(ragged(["q b q </s> a"]), SOURCE, TARGET, copy=True)
    assert made["ids"].numpy().tolist() == [[1, 5, 1, 7, 4, 3]]
    assert made["copy_ids"].numpy().tolist() == [[V, 4, V, V + 3, V + 4, 3]]
    _, y, _ = data.make_example(
        ragged(["a q", "q"]), ragged(["q x r a", "a"]), SOURCE, TARGET, True
    )
    assert y.numpy().tolist() == [[V + 1, 6, 1, V, 3], [1, 3, 0, 0, 0]]


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["a", ""]])
def test_inputs_of_empty_rows_and_no_rows(texts):
    made = data.make_source(ragged(texts), SOURCE, TARGET, copy=True)
    b, s = made["ids"].shape
    assert b == len(texts)
    assert made["mask"].shape == made["copy_ids"].shape == (b, s)
    assert made["mask"].numpy().any(axis=1).all()
    x, y, weight = data.make_example(ragged(texts), ragged(texts), SOURCE, TARGET, True)
    assert x["target"].shape == y.shape == weight.shape == (b, s)
    strings = data.target_strings(tf.fill([b, 2, 3], V), ragged(texts), TARGET)
    assert strings.shape == (b, 2, 3)


def test_inputs_in_a_graph_of_unknown_sizes():
    spec = tf.TensorSpec([None], tf.string)

    @tf.function(input_signature=[spec, spec], autograph=False)
    def run(source, target):
        return data.make_example(
            SOURCE.pieces(source), TARGET.pieces(target), SOURCE, TARGET, copy=True
        )

    x, y, weight = run(tf.constant(["q a", ""]), tf.constant(["q", "b c"]))
    assert y.numpy().tolist() == [[V, 3, 0], [4, 5, 3]]
    assert x["target"].numpy().tolist() == [[2, V, 0], [2, 4, 5]]
    assert x["source"]["ids"].numpy().tolist() == [[1, 4, 3], [3, 0, 0]]
    assert run(tf.constant([], tf.string), tf.constant([], tf.string))[1].shape[0] == 0


def test_a_long_text_needs_no_square_of_its_length():
    words = [f"w{n}" for n in range(30_000)]
    made = data.make_source(ragged([" ".join(words + words)]), SOURCE, TARGET, copy=True)
    expected = [V + n for n in range(30_000)] * 2 + [3]
    assert made["copy_ids"].numpy().tolist() == [expected]


def test_target_strings_are_what_was_copied():
    pieces = ragged(["q b 中", "", "a"])
    ids = tf.constant([[[V, V + 2, 5, 3]], [[V, 2, 0, 1]], [[V, V + 1, -1, 2**31 - 1]]])
    found = data.target_strings(ids, pieces, TARGET).numpy()
    assert found.shape == (3, 1, 4)
    decoded = [[text.decode() for text in row[0]] for row in found]
    unknown = "<unk>"
    assert decoded == [["q", "中", "c", ""], [unknown, "", "", unknown], ["a", *[unknown] * 3]]


def test_copied_labels_read_back_as_the_target(tmp_path):
    sources = ["q b r", "a 中"]
    _, y, _ = data.make_example(ragged(sources), ragged(["r x q", "中 a"]), SOURCE, TARGET, True)
    strings = data.target_strings(y, ragged(sources), TARGET)
    assert [t.decode() for t in TARGET.detokenize(strings).numpy()] == ["r x q", "中 a"]


# Buckets and batches


@pytest.mark.parametrize("max_length", [1, 2, 3, 4, 7, 50, 100, 999])
def test_buckets_cover_every_length_once(max_length):
    buckets = data.length_buckets(max_length)
    assert buckets == sorted(set(buckets))
    assert buckets[-1] == max_length + 1
    assert all(b <= max(a * 1.16, a + 1) for a, b in itertools.pairwise(buckets))
    assert batch_sizes(buckets, 40).tolist() == [max(40 // bound, 1) for bound in buckets]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """600 pairs, 40 of them empty on a side and some longer than 12."""
    r = random.Random(5)

    def text(low, high):
        return " ".join(r.choices("abcxyzq", k=r.randint(low, high)))

    rows = [(text(1, 14), text(1, 14)) for _ in range(560)]
    rows += [("", text(1, 5)) for _ in range(25)] + [(text(1, 5), "  ") for _ in range(14)]
    rows += [("", "")]
    r.shuffle(rows)
    return pair_file(tmp_path_factory.mktemp("corpus"), rows)


def lengths_of(corpus):
    return [(len(s.split()), len(t.split())) for s, t in data.read_pairs(corpus)]


def test_survey_equals_the_plain_count(corpus):
    found = data.scan_corpora(corpus, SOURCE, TARGET, 12)
    lengths = lengths_of(corpus)
    kept = [pair for pair in lengths if min(pair) > 0 and max(pair) <= 12]
    assert (found.pairs, found.empty, found.kept) == (600, 40, len(kept))
    assert found.too_long == 560 - len(kept) > 0
    assert found.longest_source == max(s for s, _ in lengths) == 14
    assert found.longest_target == max(t for _, t in lengths) == 14
    assert found.source_tokens == sum(s for s, _ in kept)
    assert found.target_tokens == sum(t for _, t in kept)
    assert sum(found.lengths.values()) == found.kept
    assert found.lengths[13] == sum(max(pair) == 12 for pair in kept)
    assert found.to_dict()["kept"] == len(kept)


def test_survey_tells_how_far_it_is(tmp_path):
    corpus = pair_file(tmp_path, [("a", "b")] * 2500)
    seen = []
    data.scan_corpora(corpus, SOURCE, TARGET, 5, progress=seen.append)
    assert seen == sorted(set(seen))
    assert len(seen) > 1
    assert seen[-1] == 2500


def one_pass(corpus, **changed):
    options = {"batch_tokens": 60, "max_length": 12, "training": False} | changed
    return data.batches(corpus, SOURCE, TARGET, **options)


def pairs_of(batch):
    """The rows of a batch as (source ids, target ids) without end and padding."""
    x, y, weight = batch
    for ids, mask, labels, real in zip(
        x["source"]["ids"].numpy(),
        x["source"]["mask"].numpy(),
        y.numpy(),
        weight.numpy(),
        strict=True,
    ):
        yield tuple(ids[mask][:-1].tolist()), tuple(labels[real == 1][:-1].tolist())


def kept_pairs(corpus, most=12):
    rows = [(s.split(), t.split()) for s, t in data.read_pairs(corpus)]
    rows = [(s, t) for s, t in rows if s and t and max(len(s), len(t)) <= most]
    return [(tuple(plain_ids(SOURCE, s)), tuple(plain_ids(TARGET, t))) for s, t in rows]


def test_one_pass_gives_every_pair_once(corpus):
    dataset = one_pass(corpus)
    made = list(dataset)
    assert sorted(p for batch in made for p in pairs_of(batch)) == sorted(kept_pairs(corpus))
    assert int(dataset.cardinality()) == len(made)
    assert data.scan_corpora(corpus, SOURCE, TARGET, 12).count_batches(60) == len(made)


def test_batches_fit_their_tokens_and_waste_none(corpus):
    buckets = data.length_buckets(12)
    for x, y, weight in one_pass(corpus):
        b, longest = len(y), max(x["source"]["ids"].shape[1], y.shape[1])
        bound = next(bound for bound in buckets if longest <= bound)
        assert b <= 60 // bound
        assert int(tf.reduce_max(tf.reduce_sum(weight, 1))) == y.shape[1]
        mask = tf.cast(x["source"]["mask"], tf.int32)
        assert int(tf.reduce_max(tf.reduce_sum(mask, 1))) == mask.shape[1]


def test_a_batch_is_what_make_example_gives(tmp_path):
    rows = [("a q b", "q x y"), ("c c c", "z"), ("q", "a q b"), ("中 b 中", "中 b"), ("b", "x y z")]
    batch = next(iter(one_pass(pair_file(tmp_path, rows), copy=True)))
    sources, targets = map(ragged, zip(*rows, strict=True))
    expected = data.make_example(sources, targets, SOURCE, TARGET, copy=True)
    tf.nest.assert_same_structure(batch, expected)
    for made, wanted in zip(tf.nest.flatten(batch), tf.nest.flatten(expected), strict=True):
        assert made.dtype == wanted.dtype
        assert made.numpy().tolist() == wanted.numpy().tolist()


def test_a_pair_longer_than_the_batch_is_a_batch_of_its_own(corpus):
    made = list(one_pass(corpus, batch_tokens=1))
    assert {batch[1].shape[0] for batch in made} == {1}
    assert len(made) == len(kept_pairs(corpus))


def training_batches(corpus, count, **changed):
    return list(one_pass(corpus, training=True, **changed).take(count))


def rows_of(made):
    return [list(pairs_of(batch)) for batch in made]


def test_every_epoch_of_training_has_every_pair_once_in_a_new_order(corpus):
    kept, statistics = sorted(kept_pairs(corpus)), data.scan_corpora(corpus, SOURCE, TARGET, 12)
    each = statistics.count_batches(60)
    made = rows_of(training_batches(corpus, 3 * each, statistics=statistics))
    epochs = [made[first : first + each] for first in range(0, 3 * each, each)]
    for epoch in epochs:
        assert sorted(pair for batch in epoch for pair in batch) == kept
    assert epochs[0] != epochs[1] != epochs[2]
    # only what fills no batch of its own bucket is piled up with other lengths
    full = [batch for batch in made if len(batch) >= 60 // bound(max_length_of(batch))]
    assert len(full) >= 0.8 * len(made)


def max_length_of(batch):
    return max(len(side) for pair in batch for side in pair) + 1


def bound(length):
    return next(bound for bound in data.length_buckets(12) if length <= bound)


@pytest.mark.parametrize("start", [1, 40, 97, 103, 250])
def test_training_goes_on_from_any_batch(corpus, start):
    statistics = data.scan_corpora(corpus, SOURCE, TARGET, 12)
    whole = training_batches(corpus, start + 12, statistics=statistics)
    rest = training_batches(corpus, 12, statistics=statistics, start=start)
    for made, wanted in zip(rest, whole[start:], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, made, wanted)


def test_training_depends_on_the_seed_alone(corpus):
    statistics = data.scan_corpora(corpus, SOURCE, TARGET, 12)

    def run(seed):
        made = training_batches(corpus, 20, seed=seed, statistics=statistics)
        return [list(pairs_of(batch)) for batch in made]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("training", [True, False])
def test_batches_have_static_ranks(corpus, training):
    x, y, weight = one_pass(corpus, training=training, copy=True).element_spec
    for spec in (*x["source"].values(), x["target"], y, weight):
        assert spec.shape.as_list() == [None, None]


def test_batches_of_subwords_and_characters(tmp_path):
    texts = ["straße 😀", "ab", "a b c"] * 10
    corpus = pair_file(tmp_path, [(t, t) for t in texts])
    letters = Characters([*"abc tr"])
    dataset = data.batches(corpus, letters, letters, batch_tokens=64, max_length=20, training=False)
    back = [
        text.decode()
        for x, y, _ in dataset
        for text in letters.detokenize(letters.strings(y)).numpy()
    ]
    assert sorted(set(back)) == ["<unk>tra<unk><unk> <unk>", "a b c", "ab"]
    assert len(back) == 30


def test_bad_input_is_reported_before_fit_begins(tmp_path, corpus):
    late = pair_file(tmp_path, [("a", "b")] * 3000, after="no tab\n")
    with pytest.raises(UserError, match=r"pairs\.tsv:3001: expected source<TAB>target"):
        one_pass(late, training=True)
    nothing = pair_file(tmp_path, [("", "b"), ("a " * 13, "b"), ("a", "b " * 14)])
    for training in (True, False):
        with pytest.raises(UserError, match="came 1 with an empty side and 2 beyond 12 tokens"):
            one_pass(nothing, training=training)
    with pytest.raises(ValueError, match="batch_tokens: expected at least 1, came 0"):
        one_pass(corpus, batch_tokens=0)
    with pytest.raises(ValueError, match="max_length: expected at least 1, came 0"):
        one_pass(corpus, max_length=0)
    with pytest.raises(ValueError, match="start: expected 0, or more in training, came 3"):
        one_pass(corpus, start=3)
    statistics = data.scan_corpora(corpus, SOURCE, TARGET, 10)
    with pytest.raises(ValueError, match="surveyed: expected one made with max_length 12, came 10"):
        one_pass(corpus, statistics=statistics)
