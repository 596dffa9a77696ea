"""Text to pieces to ids and back, in Python, in tf.data and in an exported graph."""

import json
import random
import subprocess
import sys

import keras
import pytest
import sentencepiece
import tensorflow as tf

from keras_s2s import tokenizers
from keras_s2s.config import TokenizerConfig
from keras_s2s.config.tokenizer import TOKENIZERS
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import (
    UNKNOWN,
    Bytes,
    Characters,
    SentencePiece,
    Whitespace,
    WordPiece,
    Words,
)
from tests.hard_texts import BROKEN, HARD

TEXT = ["the cat sat on the mat", "a dog barked at the cat", "cats and dogs sat", "the end."] * 5


@pytest.fixture(scope="module")
def subwords():
    return tokenizers.train(TokenizerConfig(size=60), TEXT)


@pytest.fixture(scope="module")
def pairs():
    return tokenizers.train(TokenizerConfig(model="bpe", size=60), TEXT)


@pytest.fixture(scope="module")
def reference(subwords, tmp_path_factory):
    """The sentencepiece package on the very model."""
    return package(subwords, tmp_path_factory.mktemp("model"))


def package(tokenizer, folder):
    tokenizer.save(folder, "it")
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "it.model"))


def every_kind(subwords):
    return [
        subwords,
        Characters(["a", " ", "t"]),
        Whitespace(["cat", "the", "</s>"]),
        Words(["cat", "<2de>"], ["<2de>"]),
        WordPiece(["<2de>", "c", "##a", "the", "##at", "##"], ["<2de>"]),
        Bytes(["<2de>"]),
    ]


def text_of(tensor):
    return [row.decode() for row in tensor.numpy()]


def rejoined(tokenizer, texts):
    return text_of(tokenizer.detokenize(tokenizer.pieces(tf.constant(texts)).to_tensor("")))


def test_characters_go_round():
    tokenizer = tokenizers.train(TokenizerConfig("characters", size=None), ["aab", "b a"])
    assert tokenizer.vocabulary == ("<pad>", "<unk>", "<s>", "</s>", "a", "b", " ")
    assert tokenizer.size == 7
    pieces = tokenizer.pieces(tf.constant(["a bé", ""]))
    assert pieces.to_list() == [[b"a", b" ", b"b", "é".encode()], []]
    assert tokenizer.ids(pieces).to_list() == [[4, 6, 5, 1], []]
    assert rejoined(tokenizer, HARD) == HARD


def test_white_space_tokens_go_round():
    tokenizer = tokenizers.train(TokenizerConfig("whitespace", size=None), ["b a", "b\u00a0c b"])
    assert tokenizer.vocabulary[4:] == ("b", "a", "b\u00a0c")
    pieces = tokenizer.pieces(tf.constant(["  a\t\vb\u00a0c\f", " "]))
    assert tokenizer.ids(pieces).to_list() == [[5, 6], []]
    expected = [b" ".join(text.encode().split()).decode() for text in HARD]
    assert rejoined(tokenizer, HARD) == expected


@pytest.mark.parametrize("kind", ["characters", "whitespace"])
def test_size_cuts_off_the_rarest(kind):
    lines = ["d c c b b a a a"]
    whole = tokenizers.train(TokenizerConfig(kind, size=None), lines)
    cut = tokenizers.train(TokenizerConfig(kind, size=6), lines)
    assert cut.size == 6
    assert cut.vocabulary == whole.vocabulary[:6]
    if kind == "whitespace":
        assert whole.vocabulary[4:] == ("a", "b", "c", "d")


def test_sentencepiece_is_the_package(subwords, reference):
    texts = TEXT + HARD
    pieces = subwords.pieces(tf.constant(texts))
    assert [[p.decode() for p in row] for row in pieces.to_list()] == [
        reference.encode(text, out_type=str) for text in texts
    ]
    assert subwords.ids(pieces).to_list() == reference.encode(texts)
    assert subwords.size == reference.vocab_size() <= 60
    assert subwords.vocabulary == tuple(map(reference.id_to_piece, range(subwords.size)))


def test_sentencepiece_finds_fewer_pieces_where_there_are_no_more():
    assert tokenizers.train(TokenizerConfig(size=8000), ["ab ab", "b"]).size < 20


def test_byte_pairs_are_the_package_too(pairs, tmp_path):
    sp = package(pairs, tmp_path)
    pieces = pairs.pieces(tf.constant(TEXT + HARD))
    assert pairs.ids(pieces).to_list() == sp.encode(TEXT + HARD)
    assert rejoined(pairs, TEXT + HARD) == [
        sp.decode(sp.encode(t, out_type=str)) for t in TEXT + HARD
    ]


def test_sentencepiece_decodes_as_the_package_does(subwords, reference):
    texts = TEXT + HARD
    expected = [reference.decode(reference.encode(text, out_type=str)) for text in texts]
    assert rejoined(subwords, texts) == expected
    assert rejoined(subwords, ["the cat sat"]) == ["the cat sat"]


def test_sentencepiece_decodes_any_ids_as_the_package_does(subwords, reference):
    r = random.Random(0)
    space = subwords.vocabulary.index("▁")
    often = [0, 1, 2, 3, space]
    rows = [
        [r.choice(often) if r.random() < 0.3 else r.randrange(subwords.size) for _ in range(n % 9)]
        for n in range(600)
    ]
    dense = tf.ragged.constant(rows, dtype=tf.int32).to_tensor(0)
    assert text_of(subwords.detokenize(subwords.strings(dense))) == reference.decode(rows)


def test_nothing_in_a_text_becomes_a_special_id(subwords):
    for tokenizer in every_kind(subwords):
        ids = tokenizer.ids(tokenizer.pieces(tf.constant(HARD))).values.numpy()
        assert set(ids.tolist()).isdisjoint({0, 2, 3})
    white = every_kind(subwords)[2]
    assert white.ids(white.pieces(["</s> <unk> <s>"])).to_list() == [[6, 1, 1]]


def test_strings_of_any_id(subwords):
    for tokenizer in every_kind(subwords):
        ids = tf.constant([[0, 1, 2, 3], [4, tokenizer.size, -1, 2**31 - 1]])
        first = tokenizer.vocabulary[4]
        found = [text_of(row) for row in tokenizer.strings(ids)]
        assert found == [["", UNKNOWN, "", ""], [first, UNKNOWN, UNKNOWN, UNKNOWN]]
        everything = tf.range(4, tokenizer.size)
        assert tokenizer.ids(tokenizer.strings(everything)).numpy().tolist() == list(everything)


def test_broken_text_touches_its_own_row_alone(subwords):
    for tokenizer in every_kind(subwords):
        mixed = [text for broken in BROKEN for text in (broken, b"the cat")]
        alone = tokenizer.pieces(tf.constant(["the cat"])).to_list()[0]
        pieces = tokenizer.pieces(tf.constant(mixed)).to_list()
        assert pieces[1::2] == [alone] * len(BROKEN)
        for text in tokenizer.detokenize(tf.ragged.constant(pieces).to_tensor("")).numpy():
            text.decode()  # what goes out is UTF-8 again
        read = tokenizer.detokenize(tf.constant(pieces[:1])).numpy()[0].decode()
        assert read.count("\N{REPLACEMENT CHARACTER}") == 2


def test_detokenize_never_fails(subwords):
    raw = tf.constant([*BROKEN, b"<unk>", b"", b"\0"])
    for tokenizer in every_kind(subwords):
        assert tokenizer.detokenize(raw).shape == []
        assert tokenizer.detokenize(raw[:, None]).shape == [len(BROKEN) + 3]


def test_no_rows_and_no_pieces(subwords):
    for tokenizer in every_kind(subwords):
        none = tokenizer.pieces(tf.constant([], tf.string))
        assert none.to_list() == []
        assert tokenizer.ids(none).dtype == tf.int32
        assert tokenizer.detokenize(none.to_tensor("")).shape == [0]
        assert text_of(tokenizer.detokenize(tf.zeros([2, 0], tf.string))) == ["", ""]
        assert tokenizer.detokenize(tf.zeros([2, 3, 4], tf.string)).shape == [2, 3]
        assert tokenizer.pieces(tf.constant(["", "a"])).to_list()[0] == []


def test_unknown_is_shown_for_what_it_is(subwords):
    ids = tf.constant([[4, 1, 3, 0]])
    shown = [text_of(t.detokenize(t.strings(ids)))[0] for t in every_kind(subwords)]
    assert shown[0].endswith(" \N{DOUBLE QUESTION MARK} ")
    assert shown[1:3] == ["a<unk>", "cat <unk>"]
    assert shown[3:] == ["cat <unk>", "<2de> <unk>", "<2de><unk>"]


def test_tokenizers_run_in_tf_data(subwords):
    for tokenizer in every_kind(subwords):
        rows = tf.data.Dataset.from_tensor_slices(HARD).batch(4)
        mapped = rows.map(lambda text, t=tokenizer: t.ids(t.pieces(text)).to_tensor())
        expected = tokenizer.ids(tokenizer.pieces(tf.constant(HARD[:4]))).to_tensor()
        assert next(iter(mapped)).numpy().tolist() == expected.numpy().tolist()


def test_save_and_load(subwords, tmp_path):
    for tokenizer in every_kind(subwords):
        tokenizer.save(tmp_path / "tokenizers", "source")
        again = tokenizers.load(tmp_path / "tokenizers", "source")
        assert type(again) is type(tokenizer)
        assert again.vocabulary == tokenizer.vocabulary
        assert rejoined(again, HARD) == rejoined(tokenizer, HARD)
    kept = {path.name for path in (tmp_path / "tokenizers").iterdir()}
    assert kept == {"source.json", "source.model", "source.vocab"}


def test_vocabularies_of_strange_characters_come_back(tmp_path):
    lines = ["\r\0\u2028\u0085\ufeff\x1c 中😀\n"]
    tokenizer = tokenizers.train(TokenizerConfig("characters", size=None), lines)
    tokenizer.save(tmp_path, "source")
    assert tokenizers.load(tmp_path, "source").vocabulary == tokenizer.vocabulary
    assert tokenizer.size == 4 + 9


def test_pairs_keep_their_sharing(subwords, tmp_path):
    tokenizers.save_pair(tmp_path / "one", subwords, subwords)
    source, target = tokenizers.load_pair(tmp_path / "one")
    assert source is target
    assert json.loads((tmp_path / "one" / "target.json").read_text()) == {"same_as": "source"}
    assert tokenizers.load(tmp_path / "one", "target").vocabulary == subwords.vocabulary
    tokenizers.save_pair(tmp_path / "two", subwords, Characters(["a"]))
    source, target = tokenizers.load_pair(tmp_path / "two")
    assert (source.kind, target.kind) == ("sentencepiece", "characters")


def test_training_repeats_itself(subwords):
    assert tokenizers.train(TokenizerConfig(size=60), TEXT).model_file() == subwords.model_file()


@pytest.mark.parametrize("kind", ["characters", "whitespace", "sentencepiece", "wordpiece"])
def test_training_needs_text(kind):
    for lines in ([], ["", ""]):
        with pytest.raises(UserError, match="expected text to train a vocabulary on"):
            tokenizers.train(TokenizerConfig(kind), iter(lines))


@pytest.mark.parametrize("kind", ["characters", "whitespace", "sentencepiece", "wordpiece"])
def test_training_lets_the_readers_errors_through(kind):
    def lines():
        yield "fine"
        raise UserError("train.en:2: expected UTF-8")

    with pytest.raises(UserError, match=r"^train\.en:2: expected UTF-8$"):
        tokenizers.train(TokenizerConfig(kind), lines())


def test_training_says_what_size_would_do():
    with pytest.raises(UserError, match="size: expected at least 12, .* came 8"):
        tokenizers.train(TokenizerConfig(size=8), ["hello world"] * 3)


def test_vocabularies_are_checked():
    for wrong in (["a", "a"], ["a", ""], ["a", "<unk>"]):
        with pytest.raises(ValueError, match="vocabulary: expected distinct .* as piece 2"):
            Whitespace(wrong)
    with pytest.raises(ValueError, match="expected pieces without a line feed, came 'b.nc' as pi"):
        Characters(["a", "b\nc"])
    with pytest.raises(ValueError, match="model: expected a SentencePiece model, came"):
        SentencePiece(b"no model")


def damaged(folder, file, content):
    Whitespace(["a", "b"]).save(folder, "source")
    (folder / file).write_bytes(content)
    return pytest.raises(UserError, match=f"source.{file.rpartition('.')[2]}: expected")


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"source\.json: expected a saved tokenizer, came: No such"):
        tokenizers.load(tmp_path, "source")
    for content in (b"{", b"[]", b'{"kind": "words"}', b'{"same_as": "it"}', b"\xff"):
        with damaged(tmp_path, "source.json", content):
            tokenizers.load(tmp_path, "source")
    with damaged(tmp_path, "source.vocab", b"a\n"):
        tokenizers.load(tmp_path, "source")
    for content in (b"a\na\n", b"\xff\n", b""):
        damaged(tmp_path, "source.vocab", content)
        with pytest.raises(UserError, match=r"source\.vocab: "):
            tokenizers.load(tmp_path, "source")
    (tmp_path / "source.vocab").unlink()
    with pytest.raises(UserError, match=r"source\.vocab: expected a vocabulary, came: No such"):
        tokenizers.load(tmp_path, "source")


SESSION = """
import json, sys
import tensorflow as tf
import tensorflow_text
v1 = tf.compat.v1
out = []
with v1.Session(graph=tf.Graph()) as session:
    meta = v1.saved_model.load(session, ["serve"], sys.argv[1])
    for kind, texts in json.load(sys.stdin):
        s = meta.signature_def[kind]
        feed = {s.inputs["text"].name: [t.encode("latin1") for t in texts]}
        named = session.run({k: t.name for k, t in s.outputs.items()}, feed)
        out.append([named["ids"].tolist(), [t.decode() for t in named["again"]]])
assert "keras_s2s" not in sys.modules
print(json.dumps(out))
"""


def endpoint(tokenizer):
    def run(text):
        ids = tokenizer.ids(tokenizer.pieces(text)).to_tensor()
        return {"ids": ids, "again": tokenizer.detokenize(tokenizer.strings(ids))}

    return tf.function(run, input_signature=[tf.TensorSpec([None], tf.string, name="text")])


def test_an_export_answers_in_a_session_of_a_process_without_us(subwords, tmp_path):
    made = {tokenizer.kind: tokenizer for tokenizer in every_kind(subwords)}
    assert set(made) == set(TOKENIZERS) - {"factors", "sources"}  # see export/test_composed.py
    archive = keras.export.ExportArchive()
    for kind, tokenizer in made.items():
        archive.track(tokenizer)
        archive.add_endpoint(kind, endpoint(tokenizer))
    archive.write_out(tmp_path / "export", verbose=False)
    assert list((tmp_path / "export" / "assets").iterdir()) == []
    batches = [[text.encode() for text in HARD] + BROKEN, [b""], []]
    asked = [(kind, [t.decode("latin1") for t in batch]) for kind in made for batch in batches]
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(tmp_path / "export")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    expected = []
    for kind in made:
        for batch in batches:
            found = endpoint(made[kind])(tf.constant(batch, tf.string))
            expected.append([found["ids"].numpy().tolist(), text_of(found["again"])])
    assert json.loads(done.stdout.splitlines()[-1]) == expected
