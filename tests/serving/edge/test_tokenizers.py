"""Tokenizers in plain Python against those in the graph."""

import json

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_s2s import tokenizers
from keras_s2s.config import TokenizerConfig
from keras_s2s.serving.edge.tokenizers import make_tokenizer
from keras_s2s.tokenizers import sentencepiece_model

LINES = [
    "the cat sat on the mat",
    "a dog's life: 1,000 bones!",
    "the <2de> end",
    "caf\u00e9 cat mat",
]
ODD = ["", " ", "\t a \n b\u00a0c ", "a\0b\x0bc", "\U0001f600 zzz", "</s> <unk>", "<2de>the<2de>"]
ODD += ["a\0the<2de> \0b<2de>\0", "a\x1d\0\x1db"]
BROKEN = [
    b"\xff\xfethe\x80",
    b"\xff",
    b"cat\xff mat",
    b"\xf0\x9f\x98",
    b"\xc0\x80",
    b"\xef\xbf\xbd a",
]
KINDS = {
    "bytes": {"size": None},
    "characters": {"size": None},
    "whitespace": {"size": None},
    "wordpiece": {"size": 60},
    "sentencepiece": {"size": 45},
}
CASES = [(kind, special) for kind in KINDS for special in ((), ("<2de>",))]
ALPHABET = st.text(st.sampled_from("the catsonmdglifb<2>\u00e9\u4e00 \t.'\u00a0"), max_size=24)


def of(tokenizer):
    """The edge's twin of a tokenizer, described as an export describes it."""
    from keras_s2s.export.litert.metadata import describe_tokenizer

    described, files = describe_tokenizer("source", tokenizer)
    files = {name.rpartition(".")[2]: content for name, content in files.items()}
    vocabulary = json.loads(json.dumps(files["vocabulary"]))
    return make_tokenizer(json.loads(json.dumps(described)), vocabulary, files.get("model"))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{len(case[1])}")
def pair(request):
    kind, special = request.param
    config = TokenizerConfig(kind=kind, special_tokens=list(special), **KINDS[kind])
    ours = tokenizers.train(config, LINES)
    return ours, of(ours)


def compare(ours, edge, texts):
    pieces = ours.pieces(tf.constant(texts))
    ids, joined = ours.ids(pieces).to_list(), ours.detokenize(pieces.to_tensor("")).numpy()
    begins = pieces.with_values(ours.is_word_start(pieces.values)).to_list()
    for i, row in enumerate(pieces.to_list()):
        found = edge.pieces(texts[i])
        assert found == [piece.decode() for piece in row]
        assert edge.ids(found) == ids[i]
        assert edge.detokenize(found) == joined[i].decode()
        assert [edge.is_word_start(piece) for piece in found] == begins[i]
        strings = [x.decode() for x in ours.strings(tf.constant(ids[i], tf.int32)).numpy()]
        assert [edge.string(number) for number in ids[i]] == strings


def test_texts(pair):
    compare(*pair, [*LINES, *ODD])


def test_broken_utf_8(pair):
    compare(*pair, BROKEN)


@settings(max_examples=12, deadline=None)
@given(texts=st.lists(ALPHABET, min_size=1, max_size=8))
def test_random_texts(pair, texts):
    compare(*pair, texts)


def test_every_id_has_its_string_and_others_are_unknown(pair):
    ours, edge = pair
    ids = [*range(ours.size), -1, ours.size, 2**31 - 1]
    strings = [x.decode() for x in ours.strings(tf.constant(ids, tf.int32)).numpy()]
    assert [edge.string(number) for number in ids] == strings


def test_model_output_joins_as_in_the_graph(pair):
    ours, edge = pair
    pieces = [ours.vocabulary[i] for i in range(ours.size)] + ["<unk>", "", "zz"]
    for first in range(0, len(pieces), 5):
        row = pieces[first : first + 7]
        expected = ours.detokenize(tf.constant([row])).numpy()[0].decode()
        assert edge.detokenize(row) == expected


def test_marian():
    proto = sentencepiece_model.parse_model(
        tokenizers.train(TokenizerConfig(size=45), LINES).model_file()[1]
    )
    pieces = [*sentencepiece_model.vocabulary(proto)[::-1], ">>fra<<"]
    ours = tokenizers.Marian(proto.SerializeToString(), pieces)
    compare(ours, of(ours), [*LINES, *ODD, ">>fra<< the cat", ">>fra<<"])
    compare(ours, of(ours), [*BROKEN, b">>fra<<\xff the", b">>\xff<<the"])


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="tokenizer: expected one of bytes, .* came 'morse'"):
        make_tokenizer({"kind": "morse"}, [])
