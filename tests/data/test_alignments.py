"""Word alignments as positions of tokens, and noise on words, against plain Python."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import data
from keras_s2s.config import Config, Corpus, Noise
from keras_s2s.data.alignments import token_alignment, word_indices
from keras_s2s.data.noise import add_noise
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Characters, Whitespace, WordPiece
from tests.references import run_both

SOURCE = WordPiece(["un", "##able", "##s", "a", "b"])
TARGET = Whitespace(["x", "y", "z"])


def write(path, text):
    path.write_text(text)
    return str(path)


def numbers(tokenizer, texts):
    return word_indices(tokenizer.pieces(tf.constant(texts)), tokenizer).to_list()


def test_word_numbers():
    assert numbers(SOURCE, ["unable a", "", "b unables"]) == [[0, 0, 1], [], [0, 1, 1, 1]]
    assert numbers(TARGET, ["x y", "z"]) == [[0, 1], [0]]
    assert numbers(Characters(["a"]), ["ab c"]) == [[0, 0, 1, 1]]


def aligned(sources, targets, links, width, length):
    def make(links):
        pieces = (
            SOURCE.pieces(tf.constant(sources, tf.string)),
            TARGET.pieces(tf.constant(targets, tf.string)),
        )
        words = word_indices(pieces[0], SOURCE), word_indices(pieces[1], TARGET)
        return token_alignment(links, *words, width, length)

    return run_both(make, tf.constant(links))


def test_every_piece_of_a_word_is_aligned():
    texts = ["unable a", "b", "a b"], ["x y", "z", "x y z"]
    came = aligned(*texts, ["0-1 1-0", "", "1-2\t1-0"], 4, 5)
    expected = np.zeros((3, 5, 4), bool)
    for b, t, s in ((0, 1, 0), (0, 1, 1), (0, 0, 2), (2, 2, 1), (2, 0, 1)):
        expected[b, t, s] = True
    np.testing.assert_array_equal(came, expected)


def test_texts_without_words():
    assert not aligned(["", "a"], ["", ""], ["", "0-7"], 2, 1).any()
    assert aligned([], [], tf.zeros([0], tf.string), 1, 1).shape == (0, 1, 1)


def corpus(folder, links, **more):
    return Corpus(
        source=write(folder / "s", "unable a\nb\na b\n"),
        target=write(folder / "t", "x y\nz\nx y z\n"),
        alignments=write(folder / "links", links),
        **more,
    )


def training_batch(corpora, **more):
    found = data.batches(corpora, SOURCE, TARGET, batch_tokens=1000, max_length=9, **more)
    return next(iter(found))


def test_batches_hold_the_alignment_of_their_pairs(tmp_path):
    plain = Corpus(pairs=write(tmp_path / "p", "b a\tz x\n"))
    one = corpus(tmp_path, "0-0 1-1\n0-0\n1-2\n", weights=write(tmp_path / "w", "1\n2\n3\n"))
    x, y, weights = training_batch([one, plain])
    assert x["alignment"].shape == (4, y.shape[1], x["source"]["ids"].shape[1])
    rows = {  # by the ids of a row's target
        (4, 5, 3, 0): (1.0, [(0, 0), (0, 1), (1, 2)]),
        (6, 3, 0, 0): (2.0, [(0, 0)]),
        (4, 5, 6, 3): (3.0, [(2, 1)]),
        (6, 4, 3, 0): (1.0, []),
    }
    for row, found, weight in zip(y.numpy().tolist(), x["alignment"].numpy(), weights.numpy()):
        links = [tuple(map(int, link)) for link in zip(*np.nonzero(found))]
        assert (weight[0], links) == rows.pop(tuple(row))
    assert not rows
    x, _, _ = training_batch(one, training=False)
    assert "alignment" not in x


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("0-0\n0-\n\n", "links:2: expected links such as 0-0 1-2, came '0-'"),
        ("0-0\n0-1\n\n", "links:2: expected words below 1 of the target, came 1"),
        ("0-0\n\n2-0\n", "links:3: expected words below 2 of the source, came 2"),
        ("0-0\n", "s, .*t and .*links: expected as many lines in all, came 3, 3 and 1"),
    ],
)
def test_alignments_that_do_not_fit(tmp_path, links, message):
    with pytest.raises(UserError, match=message):
        data.scan_corpora(corpus(tmp_path, links), SOURCE, TARGET, 9)


def test_configuration():
    train = {"source": "s", "target": "t", "alignments": "a"}
    for section, message in (
        ({"train": train, "noise": {"permute": 3}}, "noise: expected no drop and no permute"),
        ({"train": train, "cache": "c"}, "cache: expected none beside alignments"),
        ({"noise": {"drop": 0.1}, "cache": "c"}, "cache: expected none beside noise"),
        ({"train": {"pairs": "p", "alignments": "a"}}, "alignments: expected source and target"),
        ({"noise": {"drop": 1.0}}, "noise.drop: expected a number of at least 0.0 and below 1.0"),
    ):
        with pytest.raises(UserError, match=message):
            Config.from_dict({"data": section})
    config = Config.from_dict({"data": {"train": train, "noise": {"replace": 0.1}}})
    assert Config.from_dict(config.to_dict()) == config


TEXTS = [" ".join(f"w{row}.{place}" for place in range(row % 40)) for row in range(200)]


def noisy(tokenizer=TARGET, texts=TEXTS, seed=1, **shares):
    pieces = tokenizer.pieces(tf.constant(texts))
    noise = Noise(**shares)
    made = tf.function(lambda: add_noise(pieces, tokenizer, noise, seed))()
    return pieces.to_list(), made.to_list()


def test_dropped_words():
    before, after = noisy(drop=0.3)
    for old, new in zip(before, after, strict=True):
        assert new == [word for word in old if word in new]
        assert bool(new) == bool(old)
    assert 0.65 < sum(map(len, after)) / sum(map(len, before)) < 0.75
    before, after = noisy(drop=0.99)
    assert all(after[row] for row, old in enumerate(before) if old)


def test_replaced_words():
    before, after = noisy(replace=0.2)
    pairs = [(a, b) for old, new in zip(before, after) for a, b in zip(old, new, strict=True)]
    assert all(b in (a, b"<unk>") for a, b in pairs)
    assert 0.15 < np.mean([b == b"<unk>" for _, b in pairs]) < 0.25


def test_moved_words_stay_near():
    before, after = noisy(permute=3)
    moved = []
    for old, new in zip(before, after, strict=True):
        assert sorted(new) == sorted(old)
        moved += [abs(old.index(word) - place) for place, word in enumerate(new)]
    assert max(moved) == 3
    assert np.mean(np.array(moved) > 0) > 0.4


def test_pieces_of_a_word_stay_together():
    before, after = noisy(SOURCE, ["unable a unables b"] * 50, permute=2, drop=0.2)
    words = {b"un ##able", b"a", b"un ##able ##s", b"b"}
    for row in after:
        found = b" ".join(row).replace(b" ##", b"##").split()
        assert {word.replace(b"##", b" ##") for word in found} <= words
    assert len({tuple(row) for row in after}) > 10


def test_the_same_batch_has_the_same_noise_and_others_have_not():
    shares = {"drop": 0.3, "permute": 3, "replace": 0.1}
    assert noisy(**shares) == noisy(**shares)
    assert noisy(**shares)[1] != noisy(seed=2, **shares)[1]
    assert noisy(texts=TEXTS[::-1], **shares)[1] != noisy(**shares)[1][::-1]
    assert noisy(texts=["", ""], **shares)[1] == [[], []]


def test_noise_is_on_sources_in_training_alone(tmp_path):
    pairs = Corpus(pairs=write(tmp_path / "p", "a b\tx y z\n" * 50))
    x, y, _ = training_batch(pairs, noise=Noise(replace=0.5))
    ids = x["source"]["ids"].numpy()[:, :2]
    assert 0.3 < (ids == 1).mean() < 0.7
    assert (y.numpy() == [[4, 5, 6, 3]]).all()
    x, _, _ = training_batch(pairs, noise=Noise(replace=0.5), training=False)
    assert (x["source"]["ids"].numpy() == [[7, 8, 3]]).all()
