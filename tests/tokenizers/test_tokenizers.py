"""Text to tokens to ids and back, in Python, in tf.data and in an exported graph."""

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
def bpe():
    return tokenizers.train(TokenizerConfig(model="bpe", size=60), TEXT)


@pytest.fixture(scope="module")
def reference(subwords, tmp_path_factory):
    """The sentencepiece package with the same model."""
    return processor(subwords, tmp_path_factory.mktemp("model"))


def processor(tokenizer, folder):
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


def decode(tensor):
    return [row.decode() for row in tensor.numpy()]


def round_trip(tokenizer, texts):
    return decode(tokenizer.detokenize(tokenizer.tokenize(tf.constant(texts)).to_tensor("")))


def test_characters_round_trip():
    tokenizer = tokenizers.train(TokenizerConfig("characters", size=None), ["aab", "b a"])
    assert tokenizer.vocabulary == ("<pad>", "<unk>", "<s>", "</s>", "a", "b", " ")
    assert tokenizer.size == 7
    tokens = tokenizer.tokenize(tf.constant(["a bé", ""]))
    assert tokens.to_list() == [[b"a", b" ", b"b", "é".encode()], []]
    assert tokenizer.ids(tokens).to_list() == [[4, 6, 5, 1], []]
    assert round_trip(tokenizer, HARD) == HARD


def test_white_space_tokens_round_trip():
    tokenizer = tokenizers.train(TokenizerConfig("whitespace", size=None), ["b a", "b\u00a0c b"])
    assert tokenizer.vocabulary[4:] == ("b", "a", "b\u00a0c")
    tokens = tokenizer.tokenize(tf.constant(["  a\t\vb\u00a0c\f", " "]))
    assert tokenizer.ids(tokens).to_list() == [[5, 6], []]
    expected = [b" ".join(text.encode().split()).decode() for text in HARD]
    assert round_trip(tokenizer, HARD) == expected


@pytest.mark.parametrize("kind", ["characters", "whitespace"])
def test_size_drops_the_rarest_tokens(kind):
    lines = ["d c c b b a a a"]
    full = tokenizers.train(TokenizerConfig(kind, size=None), lines)
    limited = tokenizers.train(TokenizerConfig(kind, size=6), lines)
    assert limited.size == 6
    assert limited.vocabulary == full.vocabulary[:6]
    if kind == "whitespace":
        assert full.vocabulary[4:] == ("a", "b", "c", "d")


def test_sentencepiece_equals_the_package(subwords, reference):
    texts = TEXT + HARD
    tokens = subwords.tokenize(tf.constant(texts))
    assert [[p.decode() for p in row] for row in tokens.to_list()] == [
        reference.encode(text, out_type=str) for text in texts
    ]
    assert subwords.ids(tokens).to_list() == reference.encode(texts)
    assert subwords.size == reference.vocab_size() <= 60
    assert subwords.vocabulary == tuple(map(reference.id_to_piece, range(subwords.size)))


def test_sentencepiece_can_have_fewer_tokens_than_size():
    assert tokenizers.train(TokenizerConfig(size=8000), ["ab ab", "b"]).size < 20


def test_bpe_equals_the_package(bpe, tmp_path):
    sp = processor(bpe, tmp_path)
    tokens = bpe.tokenize(tf.constant(TEXT + HARD))
    assert bpe.ids(tokens).to_list() == sp.encode(TEXT + HARD)
    assert round_trip(bpe, TEXT + HARD) == [
        sp.decode(sp.encode(t, out_type=str)) for t in TEXT + HARD
    ]


def test_sentencepiece_decodes_as_the_package_does(subwords, reference):
    texts = TEXT + HARD
    expected = [reference.decode(reference.encode(text, out_type=str)) for text in texts]
    assert round_trip(subwords, texts) == expected
    assert round_trip(subwords, ["the cat sat"]) == ["the cat sat"]


def test_sentencepiece_decodes_any_ids_as_the_package_does(subwords, reference):
    r = random.Random(0)
    space = subwords.vocabulary.index("▁")
    often = [0, 1, 2, 3, space]
    rows = [
        [r.choice(often) if r.random() < 0.3 else r.randrange(subwords.size) for _ in range(n % 9)]
        for n in range(600)
    ]
    dense = tf.ragged.constant(rows, dtype=tf.int32).to_tensor(0)
    assert decode(subwords.detokenize(subwords.strings(dense))) == reference.decode(rows)


def test_no_text_gives_a_reserved_id(subwords):
    for tokenizer in every_kind(subwords):
        ids = tokenizer.ids(tokenizer.tokenize(tf.constant(HARD))).values.numpy()
        assert set(ids.tolist()).isdisjoint({0, 2, 3})
    white = every_kind(subwords)[2]
    assert white.ids(white.tokenize(["</s> <unk> <s>"])).to_list() == [[6, 1, 1]]


def test_strings_of_any_id(subwords):
    for tokenizer in every_kind(subwords):
        ids = tf.constant([[0, 1, 2, 3], [4, tokenizer.size, -1, 2**31 - 1]])
        first = tokenizer.vocabulary[4]
        strings = [decode(row) for row in tokenizer.strings(ids)]
        assert strings == [["", UNKNOWN, "", ""], [first, UNKNOWN, UNKNOWN, UNKNOWN]]
        all_ids = tf.range(4, tokenizer.size)
        assert tokenizer.ids(tokenizer.strings(all_ids)).numpy().tolist() == list(all_ids)


def test_invalid_utf8_affects_only_its_own_row(subwords):
    for tokenizer in every_kind(subwords):
        mixed = [text for broken in BROKEN for text in (broken, b"the cat")]
        alone = tokenizer.tokenize(tf.constant(["the cat"])).to_list()[0]
        tokens = tokenizer.tokenize(tf.constant(mixed)).to_list()
        assert tokens[1::2] == [alone] * len(BROKEN)
        for text in tokenizer.detokenize(tf.ragged.constant(tokens).to_tensor("")).numpy():
            text.decode()  # the output is valid UTF-8
        read = tokenizer.detokenize(tf.constant(tokens[:1])).numpy()[0].decode()
        assert read.count("\N{REPLACEMENT CHARACTER}") == 2


def test_detokenize_never_fails(subwords):
    raw = tf.constant([*BROKEN, b"<unk>", b"", b"\0"])
    for tokenizer in every_kind(subwords):
        assert tokenizer.detokenize(raw).shape == []
        assert tokenizer.detokenize(raw[:, None]).shape == [len(BROKEN) + 3]


def test_no_rows_and_no_tokens(subwords):
    for tokenizer in every_kind(subwords):
        no_rows = tokenizer.tokenize(tf.constant([], tf.string))
        assert no_rows.to_list() == []
        assert tokenizer.ids(no_rows).dtype == tf.int32
        assert tokenizer.detokenize(no_rows.to_tensor("")).shape == [0]
        assert decode(tokenizer.detokenize(tf.zeros([2, 0], tf.string))) == ["", ""]
        assert tokenizer.detokenize(tf.zeros([2, 3, 4], tf.string)).shape == [2, 3]
        assert tokenizer.tokenize(tf.constant(["", "a"])).to_list()[0] == []


def test_the_unknown_token_is_visible(subwords):
    ids = tf.constant([[4, 1, 3, 0]])
    shown = [decode(t.detokenize(t.strings(ids)))[0] for t in every_kind(subwords)]
    assert shown[0].endswith(" \N{DOUBLE QUESTION MARK} ")
    assert shown[1:3] == ["a<unk>", "cat <unk>"]
    assert shown[3:] == ["cat <unk>", "<2de> <unk>", "<2de><unk>"]


def test_tokenizers_run_in_tf_data(subwords):
    for tokenizer in every_kind(subwords):
        rows = tf.data.Dataset.from_tensor_slices(HARD).batch(4)
        mapped = rows.map(lambda text, t=tokenizer: t.ids(t.tokenize(text)).to_tensor())
        expected = tokenizer.ids(tokenizer.tokenize(tf.constant(HARD[:4]))).to_tensor()
        assert next(iter(mapped)).numpy().tolist() == expected.numpy().tolist()


def test_save_and_load(subwords, tmp_path):
    for tokenizer in every_kind(subwords):
        tokenizer.save(tmp_path / "tokenizers", "source")
        loaded = tokenizers.load(tmp_path / "tokenizers", "source")
        assert type(loaded) is type(tokenizer)
        assert loaded.vocabulary == tokenizer.vocabulary
        assert round_trip(loaded, HARD) == round_trip(tokenizer, HARD)
    files = {path.name for path in (tmp_path / "tokenizers").iterdir()}
    assert files == {"source.json", "source.model", "source.vocab"}


def test_vocabularies_of_unusual_characters_are_saved(tmp_path):
    lines = ["\r\0\u2028\u0085\ufeff\x1c 中😀\n"]
    tokenizer = tokenizers.train(TokenizerConfig("characters", size=None), lines)
    tokenizer.save(tmp_path, "source")
    assert tokenizers.load(tmp_path, "source").vocabulary == tokenizer.vocabulary
    assert tokenizer.size == 4 + 9


def test_a_shared_tokenizer_is_loaded_once(subwords, tmp_path):
    tokenizers.save_pair(tmp_path / "one", subwords, subwords)
    source, target = tokenizers.load_pair(tmp_path / "one")
    assert source is target
    assert json.loads((tmp_path / "one" / "target.json").read_text()) == {"same_as": "source"}
    assert tokenizers.load(tmp_path / "one", "target").vocabulary == subwords.vocabulary
    tokenizers.save_pair(tmp_path / "two", subwords, Characters(["a"]))
    source, target = tokenizers.load_pair(tmp_path / "two")
    assert (source.kind, target.kind) == ("sentencepiece", "characters")


def test_training_is_deterministic(subwords):
    assert tokenizers.train(TokenizerConfig(size=60), TEXT).model_file() == subwords.model_file()


@pytest.mark.parametrize("kind", ["characters", "whitespace", "sentencepiece", "wordpiece"])
def test_training_needs_text(kind):
    for lines in ([], ["", ""]):
        with pytest.raises(UserError, match="expected text to train a vocabulary on"):
            tokenizers.train(TokenizerConfig(kind), iter(lines))


@pytest.mark.parametrize("kind", ["characters", "whitespace", "sentencepiece", "wordpiece"])
def test_errors_of_the_lines_are_passed_on(kind):
    def lines():
        yield "fine"
        raise UserError("train.en:2: expected UTF-8")

    with pytest.raises(UserError, match=r"^train\.en:2: expected UTF-8$"):
        tokenizers.train(TokenizerConfig(kind), lines())


def test_a_size_that_is_too_small_is_reported_with_the_minimum():
    with pytest.raises(UserError, match="size: expected at least 12, .* got 8"):
        tokenizers.train(TokenizerConfig(size=8), ["hello world"] * 3)


def test_invalid_vocabularies():
    for invalid in (["a", "a"], ["a", ""], ["a", "<unk>"]):
        with pytest.raises(ValueError, match="vocabulary: expected distinct .* as token 2"):
            Whitespace(invalid)
    with pytest.raises(ValueError, match="expected tokens without a line feed, got 'b.nc' as to"):
        Characters(["a", "b\nc"])
    with pytest.raises(ValueError, match="model: expected a SentencePiece model, got"):
        SentencePiece(b"no model")


def damaged(folder, file, content):
    Whitespace(["a", "b"]).save(folder, "source")
    (folder / file).write_bytes(content)
    return pytest.raises(UserError, match=f"source.{file.rpartition('.')[2]}: expected")


def test_damaged_files_are_reported(tmp_path):
    with pytest.raises(UserError, match=r"source\.json: expected a saved tokenizer, got: No such"):
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
    with pytest.raises(UserError, match=r"source\.vocab: expected a vocabulary, got: No such"):
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
        ids = tokenizer.ids(tokenizer.tokenize(text)).to_tensor()
        return {"ids": ids, "again": tokenizer.detokenize(tokenizer.strings(ids))}

    return tf.function(run, input_signature=[tf.TensorSpec([None], tf.string, name="text")])


def test_an_export_runs_in_a_session_without_the_package(subwords, tmp_path):
    by_kind = {tokenizer.kind: tokenizer for tokenizer in every_kind(subwords)}
    assert set(by_kind) == set(TOKENIZERS) - {"factors", "sources"}  # see export/test_composed.py
    archive = keras.export.ExportArchive()
    for kind, tokenizer in by_kind.items():
        archive.track(tokenizer)
        archive.add_endpoint(kind, endpoint(tokenizer))
    archive.write_out(tmp_path / "export", verbose=False)
    assert list((tmp_path / "export" / "assets").iterdir()) == []
    batches = [[text.encode() for text in HARD] + BROKEN, [b""], []]
    requests = [
        (kind, [t.decode("latin1") for t in batch]) for kind in by_kind for batch in batches
    ]
    completed = subprocess.run(
        [sys.executable, "-c", SESSION, str(tmp_path / "export")],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert completed.returncode == 0, completed.stderr
    expected = []
    for kind in by_kind:
        for batch in batches:
            outputs = endpoint(by_kind[kind])(tf.constant(batch, tf.string))
            expected.append([outputs["ids"].numpy().tolist(), decode(outputs["again"])])
    assert json.loads(completed.stdout.splitlines()[-1]) == expected
