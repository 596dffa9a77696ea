"""Bytes, WordPiece, vocabulary files, and texts that are never cut."""

import random
import re

import pytest
import tensorflow as tf

from keras_s2s import tokenizers
from keras_s2s.config import TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import Bytes, Characters, Whitespace, WordPiece, Words
from tests.hard_texts import BROKEN, HARD

TEXT = ["the cat sat on the mat", "a dog barked at the cat", "cats and dogs sat", "the end."] * 5
TAGS = ["<2de>", "<2d>", "🏴", "a.b"]
KINDS = ["sentencepiece", "wordpiece", "whitespace", "characters", "bytes"]


def text_of(tensor):
    return [row.decode() for row in tensor.numpy()]


def pieces_of(tokenizer, text):
    return [piece.decode() for piece in tokenizer.pieces(tf.constant([text])).to_list()[0]]


def through_ids(tokenizer, texts):
    """What texts become when they go through ids, as a model's input and output do."""
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(texts))).to_tensor()
    return text_of(tokenizer.detokenize(tokenizer.strings(ids)))


def squeezed(text):
    return b" ".join(text.encode().split()).decode()


def test_bytes_come_back_from_their_ids():
    tokenizer = Bytes()
    assert tokenizer.size == 260
    assert through_ids(tokenizer, HARD) == HARD
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    parts = [everything[i : i + 4096] for i in range(0, len(everything), 40960)]
    assert through_ids(tokenizer, parts) == parts


def test_bytes_are_named_and_ordered():
    tokenizer = Bytes()
    assert pieces_of(tokenizer, "a é\n~<") == ["a", " ", "<0xC3>", "<0xA9>", "<0x0A>", "~", "<"]
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(["\0a", ""])))
    assert ids.to_list() == [[4, 4 + ord("a")], []]


def test_bytes_that_are_no_text_are_replaced():
    tokenizer = Bytes()
    expected = text_of(tf.strings.unicode_transcode(BROKEN, "UTF-8", "UTF-8"))
    assert through_ids(tokenizer, BROKEN) == expected
    half = tokenizer.strings(tf.constant([[4 + 0xE4, 4 + 0xB8, 4 + ord("a"), 3, 0]]))
    assert text_of(tokenizer.detokenize(half)) == ["\N{REPLACEMENT CHARACTER}a"]


def test_word_pieces_are_the_longest_from_the_left():
    tokenizer = WordPiece(["un", "##aff", "##able", "##a", "##b", "u"])
    assert pieces_of(tokenizer, "unaffable") == ["un", "##aff", "##able"]
    assert pieces_of(tokenizer, "uab  unab") == ["u", "##a", "##b", "un", "##a", "##b"]


def test_word_pieces_keep_what_they_do_not_know():
    tokenizer = WordPiece(["un", "##a"])
    assert pieces_of(tokenizer, "xuna una中") == ["x", "##u", "##n", "##a", "un", "##a", "##中"]
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(["una中"])))
    assert ids.to_list() == [[4, 5, 1]]


def test_word_pieces_of_hard_text_come_back():
    tokenizer = tokenizers.train(TokenizerConfig("wordpiece", size=1000), HARD + TEXT)
    known = [text for text in HARD if "<unk>" not in text]
    assert through_ids(tokenizer, known) == [squeezed(text) for text in known]


def test_word_pieces_are_not_mistaken_for_each_other():
    r = random.Random(3)
    words = ["".join(r.choice("#ab") for _ in range(r.randint(1, 6))) for _ in range(300)]
    tokenizer = tokenizers.train(TokenizerConfig("wordpiece", size=60), [" ".join(words)])
    texts = [" ".join(r.sample(words, 5)) for _ in range(50)]
    assert through_ids(tokenizer, texts) == texts


def test_word_pieces_are_learnt():
    tokenizer = tokenizers.train(TokenizerConfig("wordpiece", size=60), TEXT)
    assert tokenizer.size <= 60
    assert pieces_of(tokenizer, "the cats") == ["the", "cats"]
    assert pieces_of(tokenizer, "that")[0] in ("th", "t")
    alphabet = {word[0] for line in TEXT for word in line.split()}
    alphabet |= {f"##{c}" for line in TEXT for word in line.split() for c in word[1:]}
    assert alphabet <= set(tokenizer.vocabulary)
    again = tokenizers.train(TokenizerConfig("wordpiece", size=60), TEXT)
    assert again.vocabulary == tokenizer.vocabulary
    least = 4 + len(alphabet)
    for size in (least - 1, 6):
        with pytest.raises(UserError, match=f"size: expected at least {least} for the characters"):
            tokenizers.train(TokenizerConfig("wordpiece", size=size), TEXT)
    assert tokenizers.train(TokenizerConfig("wordpiece", size=least), TEXT).size == least


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_are_never_cut(kind):
    config = TokenizerConfig(kind, size=60, special_tokens=TAGS)
    lines = [f"<2de> {line}" for line in TEXT]
    tokenizer = tokenizers.train(config, lines)
    assert tokenizer.vocabulary[4:8] == tuple(TAGS)
    text = "<2de>the 🏴 cat<2d>🏴s a.b <2de"
    found = pieces_of(tokenizer, text)
    assert [piece for piece in found if piece in TAGS] == ["<2de>", "🏴", "<2d>", "🏴", "a.b"]
    ids = tokenizer.ids(tokenizer.pieces(tf.constant([text, "", "<2de>"])))
    assert [i for i in ids.to_list()[0] if 4 <= i < 8] == [4, 6, 5, 6, 7]
    assert ids.to_list()[2][-1] == 4
    assert pieces_of(tokenizer, "aXb") != ["a.b"]
    assert "<2de>" in pieces_of(tokenizer, "the\0<2de>cat")
    assert not any(tag in piece for tag in TAGS for piece in tokenizer.vocabulary[8:])


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_back(kind, tmp_path):
    config = TokenizerConfig(kind, size=60, special_tokens=TAGS)
    tokenizer = tokenizers.train(config, TEXT)
    texts = ["<2de> the cat", "a.b <2d> dogs 🏴"]
    assert through_ids(tokenizer, texts) == texts
    tokenizer.save(tmp_path, "source")
    again = tokenizers.load(tmp_path, "source")
    assert again.special_tokens == tuple(TAGS)
    assert again.vocabulary == tokenizer.vocabulary
    assert through_ids(again, texts) == texts
    for text in HARD:
        assert pieces_of(again, text) == pieces_of(tokenizer, text)
    mixed = [b"\xff<2de>", "the <2de>\xe4".encode("latin1"), b""]
    assert tokenizer.pieces(tf.constant(mixed)).nrows() == 3


def test_special_tokens_stand_apart_within_words():
    tokenizer = Whitespace(["<2de>", "cat"], ["<2de>"])
    assert pieces_of(tokenizer, "cat<2de>cat <2de><2de>") == ["cat", "<2de>", "cat", *["<2de>"] * 2]
    characters = Characters(["<2de>", "c"], ["<2de>"])
    assert through_ids(characters, ["c<2de>c"]) == ["c<2de>c"]


def test_special_tokens_are_checked():
    for wrong in (["a b"], [""], ["</s>"], ["x", "x"], [3], ["a\u00a0b"]):
        with pytest.raises(UserError, match="special_tokens: expected distinct texts without whi"):
            TokenizerConfig(special_tokens=wrong)
    with pytest.raises(UserError, match="special_tokens: expected none with ▁, came 'a▁'"):
        tokenizers.train(TokenizerConfig(special_tokens=["a▁"]), TEXT)
    with pytest.raises(UserError, match="expected distinct pieces.*, came '<0xC3>'"):
        tokenizers.train(TokenizerConfig("bytes", special_tokens=["<0xC3>"]), TEXT)
    with pytest.raises(UserError, match="size: expected at least 6 for the special tokens, came 5"):
        tokenizers.train(TokenizerConfig("characters", size=5, special_tokens=["x", "y"]), TEXT)
    with pytest.raises(ValueError, match="special_tokens: expected pieces of the vocabulary"):
        Whitespace(["a"], ["b"])


def written(folder, content):
    path = folder / "vocabulary.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_words_take_a_vocabulary_file(tmp_path):
    file = written(tmp_path, "\ufeffthe\r\ncat\t1200\ndog\t3e-2\nÄ\u00a0b")
    tokenizer = tokenizers.train(TokenizerConfig("words", file=file), iter(()))
    assert isinstance(tokenizer, Words)
    assert tokenizer.vocabulary[4:] == ("the", "cat", "dog", "Ä\u00a0b")
    tokenizer.save(tmp_path, "source")
    assert tokenizers.load(tmp_path, "source").vocabulary == tokenizer.vocabulary


def test_vocabulary_files_of_other_kinds(tmp_path):
    file = written(tmp_path, "a\n \nb\t3\n\t\n")
    tokenizer = tokenizers.train(TokenizerConfig("characters", file=file), ())
    assert tokenizer.vocabulary[4:] == ("a", " ", "b", "\t")
    file = written(tmp_path, "[PAD]\n[unused1]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\n")
    tokenizer = tokenizers.train(TokenizerConfig("wordpiece", file=file), ())
    assert tokenizer.vocabulary[4:] == ("the", "##s")


def test_special_tokens_beside_a_file_come_last(tmp_path):
    file = written(tmp_path, "the\n<2fr>\ncat\n")
    config = TokenizerConfig("words", file=file, special_tokens=["<2de>", "<2fr>"])
    tokenizer = tokenizers.train(config, ())
    assert tokenizer.vocabulary[4:] == ("the", "<2fr>", "cat", "<2de>")
    assert pieces_of(tokenizer, "<2fr>the<2de>") == ["<2fr>", "the", "<2de>"]


@pytest.mark.parametrize(
    ("kind", "content", "line", "problem"),
    [
        ("words", "a\nb\na\t3\n", 3, "expected a piece once, the first is in line 1, came 'a'"),
        ("words", "<pad>\nb\n", 1, "expected no line for <pad>, <unk>, <s>, </s>, which have"),
        ("words", "a\n\nb\n", 2, "expected one word without white space, came ''"),
        ("words", "a\nnew york\n", 2, "expected one word without white space, came 'new york'"),
        ("words", b"a\n\xe4\n", 2, "expected UTF-8, came byte 0xe4 at column 1"),
        ("characters", "a\nbc\n", 2, "expected one character, came 'bc'"),
        ("wordpiece", "a\n##b\n##b\n", 3, "expected a piece once, the first is in line 2"),
    ],
)
def test_vocabulary_files_are_checked(tmp_path, kind, content, line, problem):
    file = written(tmp_path, content)
    with pytest.raises(UserError, match="^" + re.escape(f"{file}:{line}: {problem}")):
        tokenizers.train(TokenizerConfig(kind, file=file), ())


def test_a_vocabulary_file_that_is_not_there(tmp_path):
    config = TokenizerConfig("words", file=str(tmp_path / "none.txt"))
    with pytest.raises(UserError, match=r"none\.txt: expected a vocabulary, came: No such file"):
        tokenizers.train(config, ())


def test_settings_that_do_not_belong_together():
    with pytest.raises(UserError, match="file: expected a vocabulary file for words, came none"):
        TokenizerConfig("words")
    with pytest.raises(UserError, match="file: expected none for bytes"):
        TokenizerConfig("bytes", file="x")
    with pytest.raises(UserError, match="size: expected none beside a file, .*, came 500"):
        TokenizerConfig("words", file="x", size=500)
    assert TokenizerConfig("words", file="x").size is None
