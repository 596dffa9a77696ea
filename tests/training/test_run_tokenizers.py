"""Tokenizers of every kind in a run: shared or one per side, trained, saved and used."""

import json

import pytest

from keras_s2s import models, tokenizers
from keras_s2s.config import Config, ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.training import train, train_tokenizers
from keras_s2s.translator import Translator
from tests.hard_texts import HARD
from tests.training.toy_runs import changed, small_config

PAIRS = [("<2de> a cat sat", "eine Katze saß"), ("<2fr> a dog, a cat", "un chien, un chat")] * 3
KINDS = {
    "unigram": {"kind": "sentencepiece", "size": 60},
    "bpe": {"kind": "sentencepiece", "model": "bpe", "size": 60},
    "wordpiece": {"kind": "wordpiece", "size": 60},
    "words": {"kind": "words"},
    "whitespace": {"kind": "whitespace"},
    "characters": {"kind": "characters"},
    "bytes": {"kind": "bytes"},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS))
    (tmp_path / "words.txt").write_text("a\ncat\n<2de>\neine\n")
    return tmp_path


def settings(folder, kind, **more):
    made = {**KINDS[kind], "special_tokens": ["<2de>", "<2fr>"], **more}
    return made | ({"file": str(folder / "words.txt")} if kind == "words" else {})


def config(folder, **sections):
    return Config.from_dict({"data": {"train": {"pairs": str(folder / "train.tsv")}, **sections}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_tokenizer(folder, kind):
    given = config(folder, tokenizer=settings(folder, kind, shared=True))
    source, target = train_tokenizers(given, folder / "run")
    assert source is target
    again, other = train_tokenizers(given, folder / "run")
    assert again is other
    assert again.vocabulary == source.vocabulary
    if kind not in ("words", "bytes"):
        assert {"ß", "##ß", "saß"} & set(source.vocabulary)
        assert {",", "##,", "dog,"} & set(source.vocabulary)


@pytest.mark.parametrize("kind", KINDS)
def test_one_tokenizer_per_side(folder, kind):
    sides = {"source_tokenizer": settings(folder, kind), "target_tokenizer": {"kind": "bytes"}}
    source, target = train_tokenizers(config(folder, **sides), folder / "run")
    assert target.kind == "bytes"
    assert {"<2de>", "<2fr>"} <= set(source.vocabulary)
    assert not {"ß", "##ß", "saß"} & set(source.vocabulary)
    again = tokenizers.load_pair(folder / "run" / "tokenizers")
    assert [one.vocabulary for one in again] == [source.vocabulary, target.vocabulary]


@pytest.mark.parametrize(("ours", "theirs"), [("bytes", "wordpiece"), ("bpe", "bytes")])
@pytest.mark.parametrize("preset", ["gru_small", "pointer_generator"])
def test_a_model_reads_and_writes_any_text(folder, ours, theirs, preset):
    sides = {
        f"{side}_tokenizer": settings(folder, kind)
        for side, kind in (("source", ours), ("target", theirs))
    }
    source, target = train_tokenizers(config(folder, **sides), folder / "run")
    units = {"units": 8}
    tiny = ModelConfig(preset=preset, embedding=8, encoder=units, decoder=units)
    translator = Translator(models.build(tiny, source.size, target.size), source, target)
    texts = [text for text in HARD if len(text) < 100]
    found = translator.decode(texts, max_length=6, beam_size=2)
    assert len(found) == len(texts)
    assert all(rows and isinstance(rows[0].text, str) for rows in found)


def test_training_with_sampling_and_tags(folder):
    drawn = {**settings(folder, "unigram", shared=True), "sampling": {"alpha": 0.1}}
    corpora = {name: {"pairs": str(folder / "train.tsv")} for name in ("train", "valid")}
    given = changed(
        small_config(corpora, metric="ter", scores=["ter", "rougeL"], validate_lines=3),
        data__tokenizer=drawn,
        data__max_length=40,
    )
    figures = train(given, folder / "run")
    assert figures["best"] <= figures["val_ter"]
    assert 0 <= figures["val_rougeL"] <= 100
    described = json.loads((folder / "run" / "tokenizers" / "source.json").read_text())
    assert described["sampling"] == {"alpha": 0.1, "nbest": -1, "dropout": None}
    assert described["special_tokens"] == ["<2de>", "<2fr>"]


def test_invalid_settings_name_their_key(folder):
    wrong = settings(folder, "characters", size=5)
    with pytest.raises(UserError, match=r"^data\.source_tokenizer\.size: expected at least 6 for"):
        train_tokenizers(config(folder, source_tokenizer=wrong), folder / "run")
    (folder / "words.txt").write_text("a\na\n")
    with pytest.raises(UserError, match=r"^\S+/words\.txt:2: expected a token once, the first is"):
        train_tokenizers(config(folder, tokenizer=settings(folder, "words")), folder / "run")
    assert not (folder / "run" / "tokenizers" / "target.json").exists()


def test_vocabularies_of_the_user_are_not_replaced(folder):
    mine = folder / "run" / "tokenizers" / "source.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    given = config(folder, tokenizer=settings(folder, "characters"))
    with pytest.raises(UserError, match="source.txt: expected no file of this name"):
        train_tokenizers(given, folder / "run")
    assert [path.name for path in mine.parent.iterdir()] == ["source.txt"]
    assert mine.read_text() == "mine\n"
