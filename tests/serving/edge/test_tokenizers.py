"""Tokenizers in plain Python compared with those in the graph."""

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
UNUSUAL = [
    "",
    " ",
    "\t a \n b\u00a0c ",
    "a\0b\x0bc",
    "\U0001f600 zzz",
    "</s> <unk>",
    "<2de>the<2de>",
]
UNUSUAL += ["a\0the<2de> \0b<2de>\0", "a\x1d\0\x1db"]
INVALID_UTF8 = [
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


def edge_tokenizer(tokenizer):
    """The plain Python tokenizer of an export's description."""
    from keras_s2s.export.litert.metadata import describe_tokenizer

    description, files = describe_tokenizer("source", tokenizer)
    files = {name.rpartition(".")[2]: content for name, content in files.items()}
    vocabulary = json.loads(json.dumps(files["vocabulary"]))
    return make_tokenizer(json.loads(json.dumps(description)), vocabulary, files.get("model"))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{len(case[1])}")
def pair(request):
    kind, special = request.param
    config = TokenizerConfig(kind=kind, special_tokens=list(special), **KINDS[kind])
    graph = tokenizers.train(config, LINES)
    return graph, edge_tokenizer(graph)


def assert_agree(graph, edge, texts):
    pieces = graph.tokenize(tf.constant(texts))
    ids, joined = graph.ids(pieces).to_list(), graph.detokenize(pieces.to_tensor("")).numpy()
    begins = pieces.with_values(graph.is_word_start(pieces.values)).to_list()
    for i, row in enumerate(pieces.to_list()):
        edge_pieces = edge.tokenize(texts[i])
        assert edge_pieces == [piece.decode() for piece in row]
        assert edge.ids(edge_pieces) == ids[i]
        assert edge.detokenize(edge_pieces) == joined[i].decode()
        assert [edge.is_word_start(piece) for piece in edge_pieces] == begins[i]
        strings = [x.decode() for x in graph.strings(tf.constant(ids[i], tf.int32)).numpy()]
        assert [edge.string(number) for number in ids[i]] == strings


def test_texts(pair):
    assert_agree(*pair, [*LINES, *UNUSUAL])


def test_invalid_utf8(pair):
    assert_agree(*pair, INVALID_UTF8)


@settings(max_examples=12, deadline=None)
@given(texts=st.lists(ALPHABET, min_size=1, max_size=8))
def test_random_texts(pair, texts):
    assert_agree(*pair, texts)


def test_strings_of_all_ids(pair):
    graph, edge = pair
    ids = [*range(graph.size), -1, graph.size, 2**31 - 1]
    strings = [x.decode() for x in graph.strings(tf.constant(ids, tf.int32)).numpy()]
    assert [edge.string(number) for number in ids] == strings


def test_detokenization_of_any_pieces(pair):
    graph, edge = pair
    pieces = [graph.vocabulary[i] for i in range(graph.size)] + ["<unk>", "", "zz"]
    for first in range(0, len(pieces), 5):
        row = pieces[first : first + 7]
        expected = graph.detokenize(tf.constant([row])).numpy()[0].decode()
        assert edge.detokenize(row) == expected


def test_marian():
    proto = sentencepiece_model.parse_model(
        tokenizers.train(TokenizerConfig(size=45), LINES).model_file()[1]
    )
    pieces = [*sentencepiece_model.vocabulary(proto)[::-1], ">>fra<<"]
    graph = tokenizers.Marian(proto.SerializeToString(), pieces)
    assert_agree(graph, edge_tokenizer(graph), [*LINES, *UNUSUAL, ">>fra<< the cat", ">>fra<<"])
    assert_agree(graph, edge_tokenizer(graph), [*INVALID_UTF8, b">>fra<<\xff the", b">>\xff<<the"])


def test_unknown_kind_is_rejected():
    with pytest.raises(ValueError, match="tokenizer: expected one of bytes, .* got 'morse'"):
        make_tokenizer({"kind": "morse"}, [])
