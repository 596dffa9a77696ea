"""Factors and several sources: ids, saved files and invalid configurations."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Config, TokenizerConfig
from keras_s2s.data import make_source
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Factors, Sources, Whitespace, load, train

WORD = {"kind": "whitespace", "size": None}
TAB = "\t"


def train_parts(kind, lines, *parts, **options):
    parts = [TokenizerConfig(**part) for part in parts]
    return train(TokenizerConfig(kind=kind, parts=parts, **options), lines)


def tokenize(tokenizer, *texts):
    return [
        list(map(bytes.decode, row)) for row in tokenizer.tokenize(tf.constant(texts)).to_list()
    ]


def test_ids_of_factors_are_mixed_radix_numbers():
    tokenizer = train_parts("factors", ["a|X b|Y c|X", "a|X"], WORD, WORD, separator="|")
    words, tags = ({p: i for i, p in enumerate(part.vocabulary)} for part in tokenizer.parts)
    assert (len(words), len(tags), tokenizer.size) == (7, 6, 42)
    tokens = tokenizer.tokenize(tf.constant(["a|X c|Y", "", "b new|X c|new b|Y|more"]))
    assert tokens.to_list()[0] == [b"a|X", b"c|Y"]
    ids = tokenizer.ids(tokens)
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
    surface = tokenizer.surface_forms(tokens).to_list()
    assert surface == [[b"a", b"c"], [], [b"b", b"new", b"c", b"b"]]
    assert tokenizer.ids(tf.constant([["<unk>"]])).numpy().tolist() == [[1 + 7 * 1]]


def test_a_vocabulary_of_factors_contains_every_token_of_the_parts():
    tokenizer = train_parts("factors", ["a￨X b￨Y c￨X d￨Z"], WORD, WORD)
    rows = [token.split("￨") for token in tokenizer.vocabulary[4:]]
    for column, part in zip(zip(*rows, strict=True), tokenizer.parts, strict=True):
        assert set(column) == set(part.vocabulary[4:])


def test_too_many_ids_are_an_error():
    parts = [Whitespace([str(n) for n in range(2000)]) for _ in range(3)]
    with pytest.raises(ValueError, match="2147483647 ids, the product, got 2004 x 2004 x 2004"):
        Factors(parts, "|")


def test_sources_are_concatenated():
    tokenizer = train_parts(
        "sources", ["a b\txy", "c\tyz"], WORD, {"kind": "characters", "size": None}
    )
    assert tokenize(tokenizer, "a c\tzy", "\tx", "b\t", "a") == [
        ["a", "c", TAB, "\tz", "\ty"],
        [TAB, "\tx"],
        ["b", TAB],
        ["a", TAB],
    ]
    tokens = tokenizer.tokenize(tf.constant(["a c\tzy"]))
    source = make_source(tokens, tokenizer, tokenizer)
    ids = {token: i for i, token in enumerate(tokenizer.vocabulary)}
    expected = [ids["a"], ids["c"], 4, ids["\tz"], ids["\ty"], 3]
    np.testing.assert_array_equal(source["ids"], [expected])
    assert tokenizer.surface_forms(tokens).to_list() == [[b"a", b"c", b"", b"z", b"y"]]
    assert tokenizer.detokenize(tf.constant([["a", "\tz", "c", "\ty"]])).numpy() == [b"a c\tzy"]


def test_one_tokenizer_for_all_sources():
    lines = ["a b ||| c", "a ||| c"]
    tokenizer = train_parts("sources", lines, WORD, separator=" ||| ", count=2)
    assert tokenize(tokenizer, "a b ||| c a", "a\tb ||| c") == [
        ["a", "b", TAB, "c", "a"],
        ["a", "b", TAB, "c"],
    ]
    assert tokenizer.size == 4 + 1 + 3
    tokens = tokenizer.tokenize(tf.constant(["a b ||| c a"])).to_tensor()
    assert tokenizer.detokenize(tokens).numpy() == [b"a b ||| c a"]


def test_rows_with_another_number_of_sources_have_an_error():
    tokenizer = train_parts("sources", ["a\tb"], WORD, WORD)
    ((invalid, messages),) = tokenizer.input_errors(tf.constant(["a\tb", "a", "", "a\tb\tc"]))
    np.testing.assert_array_equal(invalid, [False, True, True, True])
    assert messages().numpy()[3] == b"text: expected 2 parts separated by tabs, got 3"


def test_words_of_sources_are_counted_over_the_line():  # as alignments count them
    tokenizer = train_parts("sources", ["ab c\txy z"], WORD, {"kind": "characters", "size": None})
    starts = tokenizer.is_word_start(tokenizer.tokenize(tf.constant(["ab c\txy z"])).values)
    np.testing.assert_array_equal(starts, [True, True, True, False, False, True, False])
    tokenizer = train_parts("sources", ["ab\tcd"], {"kind": "characters", "size": None}, count=2)
    starts = tokenizer.is_word_start(tokenizer.tokenize(tf.constant(["ab\tcd"])).values)
    np.testing.assert_array_equal(starts, [False, False, True, False, False])


@pytest.mark.parametrize(("kind", "lines"), [("factors", ["a￨X b￨Y"]), ("sources", ["a b\tc"])])
def test_save_and_load(tmp_path, kind, lines):
    tokenizer = train_parts(kind, lines, WORD, WORD)
    tokenizer.save(tmp_path, "source")
    loaded = load(tmp_path, "source")
    assert (type(loaded), loaded.size, loaded.input_size) == (
        type(tokenizer),
        tokenizer.size,
        tokenizer.input_size,
    )
    assert (loaded.vocabulary, loaded.settings()) == (tokenizer.vocabulary, tokenizer.settings())
    assert isinstance(loaded, Factors if kind == "factors" else Sources)
    (tmp_path / "source.1.json").unlink()
    with pytest.raises(UserError, match="source.1.json: expected a saved tokenizer"):
        load(tmp_path, "source")


def test_a_line_with_too_few_sources_is_reported():
    with pytest.raises(UserError, match="source line 2: expected 2 parts .* got 1"):
        train_parts("sources", ["a\tb", "a"], WORD, WORD)


TWO = {"parts": [WORD, WORD]}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"source_tokenizer": {"kind": "factors"}}, "source_tokenizer.parts: expected two or more"),
        (
            {"source_tokenizer": {"kind": "factors", "parts": [WORD, {"kind": "bytes"}]}},
            "source_tokenizer.parts: .* whitespace, bytes",
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
def test_invalid_configurations(section, key):
    with pytest.raises(UserError, match=key):
        Config.from_dict({"data": section})
