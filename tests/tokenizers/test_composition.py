"""Factors and several sources: their ids in NumPy's terms, their files, what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Config, TokenizerConfig
from keras_s2s.data import make_source
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Factors, Sources, Whitespace, load, train

WORD = {"kind": "whitespace", "size": None}
TAB = "\t"


def made(kind, lines, *parts, **more):
    parts = [TokenizerConfig(**part) for part in parts]
    return train(TokenizerConfig(kind=kind, parts=parts, **more), lines)


def rows(tokenizer, *texts):
    return [list(map(bytes.decode, row)) for row in tokenizer.pieces(tf.constant(texts)).to_list()]


def test_ids_of_factors_are_digits():
    tokenizer = made("factors", ["a|X b|Y c|X", "a|X"], WORD, WORD, separator="|")
    words, tags = ({p: i for i, p in enumerate(part.vocabulary)} for part in tokenizer.parts)
    assert (len(words), len(tags), tokenizer.size) == (7, 6, 42)
    pieces = tokenizer.pieces(tf.constant(["a|X c|Y", "", "b new|X c|new b|Y|more"]))
    assert pieces.to_list()[0] == [b"a|X", b"c|Y"]
    ids = tokenizer.ids(pieces)
    pairs = [("a", "X"), ("c", "Y"), ("b", None), (None, "X"), ("c", None), ("b", "Y")]
    expected = [words.get(w, 1) + len(words) * tags.get(t, 1) for w, t in pairs]
    np.testing.assert_array_equal(ids.flat_values, expected)
    np.testing.assert_array_equal(ids.row_lengths(), [2, 0, 4])
    np.testing.assert_array_equal(ids.flat_values % 7, [words.get(w, 1) for w, _ in pairs])
    assert tokenizer.strings(ids.flat_values).numpy().tolist() == [
        b"a|X",
        b"c|Y",
        b"b|<unk>",
        b"<unk>|X",
        b"c|<unk>",
        b"b|Y",
    ]
    assert tokenizer.strings(tf.constant([0, 3, -1])).numpy().tolist() == [b"", b"", b"<unk>"]
    shown = tokenizer.surface_forms(pieces).to_list()
    assert shown == [[b"a", b"c"], [], [b"b", b"new", b"c", b"b"]]
    assert tokenizer.ids(tf.constant([["<unk>"]])).numpy().tolist() == [[1 + 7 * 1]]


def test_a_vocabulary_of_factors_holds_every_piece():
    tokenizer = made("factors", ["a￨X b￨Y c￨X d￨Z"], WORD, WORD)
    seen = [token.split("￨") for token in tokenizer.vocabulary[4:]]
    for column, part in zip(zip(*seen, strict=True), tokenizer.parts, strict=True):
        assert set(column) == set(part.vocabulary[4:])


def test_too_many_ids_are_refused():
    parts = [Whitespace([str(n) for n in range(2000)]) for _ in range(3)]
    with pytest.raises(ValueError, match="2147483647 ids, the product, came 2004 x 2004 x 2004"):
        Factors(parts, "|")


def test_sources_stand_one_after_the_other():
    tokenizer = made("sources", ["a b\txy", "c\tyz"], WORD, {"kind": "characters", "size": None})
    assert rows(tokenizer, "a c\tzy", "\tx", "b\t", "a") == [
        ["a", "c", TAB, "\tz", "\ty"],
        [TAB, "\tx"],
        ["b", TAB],
        ["a", TAB],
    ]
    pieces = tokenizer.pieces(tf.constant(["a c\tzy"]))
    source = make_source(pieces, tokenizer, tokenizer)
    where = {piece: i for i, piece in enumerate(tokenizer.vocabulary)}
    expected = [where["a"], where["c"], 4, where["\tz"], where["\ty"], 3]
    np.testing.assert_array_equal(source["ids"], [expected])
    assert tokenizer.surface_forms(pieces).to_list() == [[b"a", b"c", b"", b"z", b"y"]]
    assert tokenizer.detokenize(tf.constant([["a", "\tz", "c", "\ty"]])).numpy() == [b"a c\tzy"]


def test_one_tokenizer_for_all_sources():
    lines = ["a b ||| c", "a ||| c"]
    tokenizer = made("sources", lines, WORD, separator=" ||| ", count=2)
    assert rows(tokenizer, "a b ||| c a", "a\tb ||| c") == [
        ["a", "b", TAB, "c", "a"],
        ["a", "b", TAB, "c"],
    ]
    assert tokenizer.size == 4 + 1 + 3
    pieces = tokenizer.pieces(tf.constant(["a b ||| c a"])).to_tensor()
    assert tokenizer.detokenize(pieces).numpy() == [b"a b ||| c a"]


def test_rows_of_other_numbers_of_sources_have_an_error():
    tokenizer = made("sources", ["a\tb"], WORD, WORD)
    ((wrong, said),) = tokenizer.input_errors(tf.constant(["a\tb", "a", "", "a\tb\tc"]))
    np.testing.assert_array_equal(wrong, [False, True, True, True])
    assert said().numpy()[3] == b"text: expected 2 parts set apart by tabs, came 3"


def test_words_of_sources_begin_as_in_the_whole_line():  # for alignments, which number them
    tokenizer = made("sources", ["ab c\txy z"], WORD, {"kind": "characters", "size": None})
    begins = tokenizer.is_word_start(tokenizer.pieces(tf.constant(["ab c\txy z"])).values)
    np.testing.assert_array_equal(begins, [True, True, True, False, False, True, False])
    tokenizer = made("sources", ["ab\tcd"], {"kind": "characters", "size": None}, count=2)
    begins = tokenizer.is_word_start(tokenizer.pieces(tf.constant(["ab\tcd"])).values)
    np.testing.assert_array_equal(begins, [False, False, True, False, False])


@pytest.mark.parametrize(("kind", "lines"), [("factors", ["a￨X b￨Y"]), ("sources", ["a b\tc"])])
def test_files_give_the_same_tokenizer(tmp_path, kind, lines):
    tokenizer = made(kind, lines, WORD, WORD)
    tokenizer.save(tmp_path, "source")
    again = load(tmp_path, "source")
    assert (type(again), again.size, again.input_size) == (
        type(tokenizer),
        tokenizer.size,
        tokenizer.input_size,
    )
    assert (again.vocabulary, again.settings()) == (tokenizer.vocabulary, tokenizer.settings())
    assert isinstance(again, Factors if kind == "factors" else Sources)
    (tmp_path / "source.1.json").unlink()
    with pytest.raises(UserError, match="source.1.json: expected a saved tokenizer"):
        load(tmp_path, "source")


def test_a_line_without_all_sources_is_named():
    with pytest.raises(UserError, match="source line 2: expected 2 parts .* came 1"):
        made("sources", ["a\tb", "a"], WORD, WORD)


TWO = {"parts": [WORD, WORD]}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"source_tokenizer": {"kind": "factors"}}, "source_tokenizer.parts: expected two or more"),
        (
            {"source_tokenizer": {"kind": "factors", "parts": [WORD, {"kind": "bytes"}]}},
            "source_tokenizer.parts: .* came whitespace, bytes",
        ),
        ({"source_tokenizer": {"kind": "factors", "separator": " ", **TWO}}, "separator: expected"),
        ({"source_tokenizer": {"kind": "factors", "count": 2, **TWO}}, "count: expected none"),
        ({"source_tokenizer": {"kind": "sources", "parts": [WORD]}}, "parts: expected a tokenizer"),
        ({"source_tokenizer": {"kind": "sources", "file": "x", **TWO}}, "file: expected none"),
        (
            {"source_tokenizer": {"kind": "sources", "parts": [WORD, {"kind": "factors", **TWO}]}},
            "parts: expected none of factors and sources",
        ),
        ({"source_tokenizer": {"kind": "bytes", "separator": "|"}}, "separator: expected none"),
        (
            {"source_tokenizer": {"kind": "factors", "parts": [WORD, {"kind": "word"}]}},
            "source_tokenizer.parts.1.kind: expected one of",
        ),
        (
            {"target_tokenizer": {"kind": "factors", **TWO}},
            "target_tokenizer: expected factors for",
        ),
        ({"tokenizer": {"kind": "sources", **TWO}}, "data.tokenizer: expected sources for"),
        (
            {"source_tokenizer": {"kind": "sources", **TWO}, "noise": {"drop": 0.1}},
            "noise: expected",
        ),
        (
            {"source_tokenizer": {"kind": "sources", **TWO}, "train": {"pairs": "a.tsv"}},
            "source_tokenizer: expected another separator",
        ),
    ],
)
def test_wrong_configurations(section, key):
    with pytest.raises(UserError, match=key):
        Config.from_dict({"data": section})
