"""Marian tokenizer: SentencePiece pieces, ids of vocab.json, leading tags."""

import json

import pytest
import tensorflow as tf

from keras_s2s import tokenizers
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Marian
from tests.hard_texts import BROKEN, HARD
from tests.importers import marian_checkpoints as twin

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
NAMES = [piece for piece in twin.vocabulary("source", "target") if piece[:2] not in ("</", "<u")]
NAMES.remove("<pad>")
TAGGED = [
    ">>fra<< the cat",
    ">>fra<<the cat",
    ">>xxx<< a dog",
    ">> <<",
    ">><<<<",
    ">>fra<<",
    ">>fra",
    "a >>fra<< cat",
    " >>fra<< cat",
    ">>fra<< >>deu<< cat",
    ">>\n<< a",
    "<<>>",
]


def made(side="source"):
    return Marian(twin.pieces_model(side)[0], NAMES)


def pieces_of(tokenizer, texts):
    rows = tf.function(tokenizer.tokenize)(tf.constant(texts)).to_list()
    return [[piece.decode() for piece in row] for row in rows]


@pytest.mark.parametrize("side", ["source", "target"])
def test_pieces_match_sentencepiece_and_ids_the_vocabulary(side):
    tokenizer = made(side)
    # the package takes a null character for the end of a text
    texts = [text for text in [*TAGGED, *twin.SOURCE, *twin.TARGET, *HARD] if "\0" not in text]
    expected = [twin.cut(side, text) for text in texts]
    assert pieces_of(tokenizer, texts) == expected
    ids = tokenizer.ids(tokenizer.tokenize(tf.constant(texts))).to_list()
    known = {name: number for number, name in enumerate(NAMES, 4)}
    assert ids == [[known.get(piece, 1) for piece in row] for row in expected]
    assert {1, known[">>fra<<"]} <= {number for row in ids for number in row}


def test_piece_missing_from_vocabulary_is_unknown():
    tokenizer = made()
    assert all(piece in twin.pieces_model("source")[1] for piece in twin.DROPPED)
    assert tokenizer.ids(tf.constant(list(twin.DROPPED))).numpy().tolist() == [1, 1]


def test_text_without_unknown_pieces():
    tokenizer, target = made("target"), tf.constant(["die Katze mag", ">>fra<< ein Hund", ""])
    assert tokenizer.detokenize(tokenizer.tokenize(target).to_tensor("")).numpy().tolist() == [
        b"die Katze mag",
        b">>fra<< ein Hund",
        b"",
    ]
    pieces = tf.constant([[f"{SPACE}a", "<unk>", f"{SPACE}b", SPACE, "", ""], ["<unk>"] * 6])
    assert tokenizer.detokenize(pieces).numpy().tolist() == [b"a b", b""]


def test_hard_texts():
    tokenizer = made()
    texts = [*map(str.encode, HARD), *BROKEN, *(b">>fra<<" + text for text in BROKEN)]
    pieces = tokenizer.tokenize(tf.constant(texts))
    assert pieces.nrows() == len(texts)
    assert pieces[-1][0] == b">>fra<<"
    assert made().tokenize(tf.constant([], tf.string)).nrows() == 0


def test_save_and_load(tmp_path):
    pair = made(), made("target")
    tokenizers.save_pair(tmp_path, *pair)
    for one, other in zip(pair, tokenizers.load_pair(tmp_path)):
        assert type(other) is Marian
        assert other.vocabulary == one.vocabulary
        assert pieces_of(other, TAGGED) == pieces_of(one, TAGGED)


def test_damaged_description_is_refused(tmp_path):
    made().save(tmp_path, "source")
    path = tmp_path / "source.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"vocabulary": described["vocabulary"][1:]}))
    with pytest.raises(UserError, match=f"source.model: expected {len(NAMES) + 4} ids as source.j"):
        tokenizers.load(tmp_path, "source")
    del described["vocabulary"]
    path.write_text(json.dumps(described))
    with pytest.raises(UserError, match="source.json: expected kind, size and file"):
        tokenizers.load(tmp_path, "source")
