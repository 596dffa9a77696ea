"""Initialization from runs and word vectors, frozen weights, and averaged weights."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from keras_s2s import checkpoints
from keras_s2s.checkpoints import named_weights
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import load_pair
from keras_s2s.training import train, update_vocabulary
from keras_s2s.training.session import build_session
from keras_s2s.training.word_vectors import find_vectors, read_vectors, spellings
from tests.training.toy_runs import changed, configuration, small_config


def new_session(config, tmp_path):
    """A session of a new run, and its output."""
    output = io.StringIO()
    return build_session(config, tmp_path / "new", output), output.getvalue()


def weights(directory):
    model = checkpoints.load_model(directory)
    return {name: v.numpy() for name, v in named_weights(model).items()}


def test_a_run_starts_from_the_weights_of_another(trained, corpora, tmp_path):
    run = trained[0]
    session, output = new_session(configuration(corpora, init_from=str(run)), tmp_path)
    assert f"training.init_from: 25 of 25 weights from {run}/best\n" in output
    for one, other in zip(
        session.model.get_weights(), checkpoints.load_model(run / "best").get_weights()
    ):
        np.testing.assert_array_equal(one, other)
    assert session.progress.step == 0


def test_tokens_and_shapes_decide_what_is_transferred(trained, corpora, tmp_path):
    config = configuration(corpora, init_from=str(trained[0] / "last"))
    (tmp_path / "more.tsv").write_text("12a\t21b\n34\t43\n")
    config = changed(
        config,
        data__train={"pairs": str(tmp_path / "more.tsv")},
        data__valid=None,
        model__decoder={"units": 16},
    )
    session, output = new_session(config, tmp_path)
    assert ", 8 of 10 shared tokens (2 new) from " in output
    assert "not taken: decoder/" in output
    old, new = weights(trained[0] / "last")["source/table"], session.model.source.table.numpy()
    tokens = [load_pair(d / "tokenizers")[0].vocabulary for d in (trained[0], tmp_path / "new")]
    np.testing.assert_array_equal(new[tokens[1].index("3")], old[tokens[0].index("3")])


def test_invalid_initialization_is_named(corpora, tmp_path):
    with pytest.raises(
        UserError, match="training.init_from: none: expected a run directory or a ch"
    ):
        new_session(small_config(corpora, init_from="none"), tmp_path)
    with pytest.raises(
        UserError, match="training.freeze: expected the name .* 'encodr'; the nearest"
    ):
        new_session(small_config(corpora, freeze=["encodr"]), tmp_path)
    with pytest.raises(UserError, match="training.freeze: expected a weight that is left to train"):
        new_session(small_config(corpora, freeze=["*"]), tmp_path)


def test_frozen_parts_stay_and_others_learn(corpora, tmp_path):
    config = small_config(corpora, freeze=["encoder", "embeddings"], updates=4)
    before = {
        n: v.numpy() for n, v in named_weights(new_session(config, tmp_path)[0].model).items()
    }
    train(config, tmp_path / "run", stream=io.StringIO())
    after = weights(tmp_path / "run" / "last")
    for name, value in before.items():
        frozen = name.startswith(("encoder", "source", "target"))
        assert np.array_equal(value, after[name]) == frozen, name
    with pytest.raises(
        UserError, match="training.freeze is .'encoder', 'embeddings'. in this run, "
    ):
        train(small_config(corpora, updates=6), tmp_path / "run", stream=io.StringIO())


@pytest.mark.parametrize(
    "policy", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_validation_and_best_use_the_mean_of_the_weights(corpora, tmp_path, policy):
    options = {"ema": 0.5, "updates": 4, "validate_every": 2, "policy": policy, "keep": 9}
    figures = train(
        small_config(corpora, **options, checkpoint_every=1), tmp_path / "run", stream=io.StringIO()
    )
    run, mean = tmp_path / "run", None
    for step in range(1, 5):
        now = weights(run / "checkpoints" / str(step))
        mean = now if mean is None else {n: 0.5 * mean[n] + 0.5 * now[n] for n in now}
    assert figures["best_step"] == 4
    best, last = weights(run / "best"), weights(run / "last")
    for name, value in mean.items():
        np.testing.assert_allclose(best[name], value, rtol=0, atol=1e-6)
    assert any(np.abs(best[name] - last[name]).max() > 1e-4 for name in best)
    train(small_config(corpora, **{**options, "updates": 6}), run, stream=io.StringIO())
    for step in (6,):
        assert checkpoints.load(run / "last")[1]["step"] == step


def test_word_vectors_fill_the_embeddings(corpora, tmp_path):
    config = small_config(corpora)
    width = config.model.encoder["units"]
    rows = {"1": np.arange(width) / 10, "7": -np.ones(width), "no": np.zeros(width)}
    text = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items())
    (tmp_path / "glove.txt").write_text(text)
    with gzip.open(tmp_path / "word2vec.txt.gz", "wt") as file:
        file.write(f"3 {width}\n{text}")
    config = changed(
        config,
        training__source_embeddings=str(tmp_path / "glove.txt"),
        training__target_embeddings=str(tmp_path / "word2vec.txt.gz"),
    )
    session, output = new_session(config, tmp_path)
    assert "training.source_embeddings: 2 of 14 entries (14.3%) of the vocabulary from " in output
    for table in (session.model.source.table.numpy(), session.model.target.table.numpy()):
        place = session.tokenizers[0].vocabulary.index("1")
        np.testing.assert_allclose(table[place], rows["1"], rtol=1e-6)
        assert np.abs(table[session.tokenizers[0].vocabulary.index("2")]).max() < 2


def test_words_match_their_spelling_else_lower_case(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"\xef\xbb\xbfthe 1 2\nThe\t3\t4 \n. . . 5 6\nhouse 7 8\n\xff 9 9\nthe 0 0\n")
    words = {4: ("The", "the"), 5: ("the",), 6: ("House", "house"), 7: (". . .",), 8: ("gone",)}
    vectors = read_vectors(path, words, 2)
    assert {key: (entry.spelling, *map(float, entry.vector)) for key, entry in vectors.items()} == {
        4: ("The", 3, 4),
        5: ("the", 1, 2),
        6: ("house", 7, 8),
        7: (". . .", 5, 6),
    }


def test_words_of_several_sources_match_without_marks():
    vectors = spellings(("\t", "▁The", "\t▁der", "\t\tthe"), "sources")
    assert vectors == {0: (), 1: ("▁The", "The", "the"), 2: ("▁der", "der"), 3: ("the",)}


TOKENS = ("▁the", "the", "▁House", ",", "▁猫", "猫")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("the 1\nhouse 2\n, 3\n猫 4\n", [1, None, 2, 3, 4, 4]),
        ("▁the 1\nthe 2\nhouse 3\n", [1, 2, 3, None, None, None]),
    ],
    ids=["words", "tokens"],
)
def test_subwords_match_words(tmp_path, lines, expected):
    (tmp_path / "v.txt").write_text(lines)
    words = spellings(TOKENS, "sentencepiece")
    vectors = find_vectors(tmp_path / "v.txt", words, 1)
    assert [vectors[n].vector[0] if n in vectors else None for n in range(len(TOKENS))] == expected


def test_one_table_takes_one_file(corpora, tmp_path):
    paths = {side: str(tmp_path / f"{side}.txt") for side in ("source", "target")}
    for path in paths.values():
        Path(path).write_text("1" + " 0.5" * 8 + "\n")
    options = {f"{side}_embeddings": path for side, path in paths.items()}
    config = small_config(corpora, **options)
    with pytest.raises(UserError, match="target_embeddings: expected none, or that of the source"):
        new_session(changed(config, model__tie="all"), tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a 1 2\nb 1\n", "v.txt:2: expected a word and 2 numbers, got 1 of them"),
        ("b 1 2\na 1 2 3\n", "v.txt:2: expected a word and 2 numbers, got 3 of them"),
        ("a 1 2 3\n", "v.txt:1: expected a word and 2 numbers, got 3 of them"),
        ("2 3\na 1 2 3\n", "v.txt:1: expected 2 numbers a word, got 3"),
        ("a 1 x\n", "v.txt:1: expected finite numbers"),
        ("a 1 nan\n", "v.txt:1: expected finite numbers"),
        ("\n", "v.txt:1: expected a word and 2 numbers, got no number"),
    ],
)
def test_damaged_vectors_are_named(tmp_path, text, problem):
    (tmp_path / "v.txt").write_text(text)
    with pytest.raises(UserError, match=problem):
        read_vectors(tmp_path / "v.txt", {4: ("a",)}, 2)
    with pytest.raises(UserError, match="none.txt: expected a text file, got: No such file"):
        read_vectors(tmp_path / "none.txt", {4: ("a",)}, 2)


def test_factors_are_initialized_by_the_vocabulary_of_each(corpora, tmp_path):
    def of(name, lines, **training):
        (tmp_path / name).write_text("".join(f"{line}\tx\n" for line in lines))
        word = {"kind": "whitespace", "size": None}
        data = {
            "train": {"pairs": str(tmp_path / name)},
            "target_tokenizer": {"kind": "bytes"},
            "source_tokenizer": {"kind": "factors", "parts": [word, word]},
        }
        raw = small_config(corpora, **{"updates": 1, "validate_every": 1, **training}).to_dict()
        raw["data"] |= {"valid": None, "tokenizer": None, **data}
        return Config.from_dict(raw)

    train(of("old.tsv", ["cat￨N is￨V", "dog￨N"]), tmp_path / "old", stream=io.StringIO())
    (tmp_path / "vectors.txt").write_text("bird 1 2 3 4 5 6 7\n")
    more = {"init_from": str(tmp_path / "old"), "source_embeddings": str(tmp_path / "vectors.txt")}
    config = of("new.tsv", ["bird￨N was￨A", "dog￨N"], **more)
    session, output = new_session(config, tmp_path)
    assert ", 5 of 7 source 1 tokens (2 new), 5 of 6 source 2 tokens (1 new) from " in output
    assert "training.source_embeddings: 1 of 7 entries (14.3%) of the vocabulary from " in output
    pairs = [load_pair(run / "tokenizers")[0].parts for run in (tmp_path / "old", tmp_path / "new")]
    old = [weights(tmp_path / "old" / "best")[f"source/embeddings/{n}/table"] for n in (0, 1)]
    new = [one.table.numpy() for one in session.model.source.embeddings]
    for number, piece in enumerate(["dog", "N"]):
        places = [parts[number].vocabulary.index(piece) for parts in pairs]
        np.testing.assert_array_equal(new[number][places[1]], old[number][places[0]])
    np.testing.assert_array_equal(new[0][pairs[1][0].vocabulary.index("bird")], range(1, 8))
    update_vocabulary(
        tmp_path / "old",
        of("new.tsv", ["bird￨N was￨A"]),
        tmp_path / "derived",
        log=lambda text: None,
    )
    assert checkpoints.load_model(tmp_path / "derived" / "best").source.embeddings[0].size == 6
