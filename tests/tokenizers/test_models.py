"""SentencePiece models that other tools trained, and cutting drawn at random."""

import io
from collections import Counter

import pytest
import sentencepiece
import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2 as messages

from keras_s2s import tokenizers
from keras_s2s.config import SubwordSampling, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import SentencePiece
from tests.hard_texts import BROKEN, HARD

TEXT = ["the cat sat on the mat", "a dog barked at the cat", "cats and dogs sat", "the end."] * 5
OURS = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
MODELS = ["unigram", "bpe"]


def foreign(**options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        **{"vocab_size": 60, **options},
    )
    return model.getvalue()


def package(model):
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def text_of(tensor):
    return [row.decode() for row in tensor.numpy()]


def pieces_of(tokenizer, texts, sample=False):
    rows = tokenizer.pieces(tf.constant(texts), sample).to_list()
    return [[piece.decode() for piece in row] for row in rows]


def through_ids(tokenizer, texts):
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(texts))).to_tensor()
    return text_of(tokenizer.detokenize(tokenizer.strings(ids)))


@pytest.mark.parametrize("model_type", [*MODELS, "char", "word"])
@pytest.mark.parametrize(
    "ids",
    [
        {},
        {"unk_id": 3, "bos_id": -1, "eos_id": -1, "unk_piece": "[UNK]"},
        {"unk_id": 5, "pad_id": 7, "bos_piece": "[CLS]", "eos_piece": "[SEP]"},
        {"control_symbols": ["<mask>", "<a>"]},
    ],
)
def test_models_with_other_ids_get_ours(model_type, ids):
    model = foreign(model_type=model_type, **ids)
    sp, tokenizer = package(model), SentencePiece(model)
    inner = [sp.id_to_piece(i) for i in range(sp.vocab_size()) if not sp.is_control(i)]
    inner.remove(sp.id_to_piece(sp.unk_id()))
    assert tokenizer.vocabulary == ("<pad>", "<unk>", "<s>", "</s>", *inner)
    assert pieces_of(tokenizer, TEXT + HARD) == [sp.encode(t, out_type=str) for t in TEXT + HARD]
    found = tokenizer.ids(tokenizer.pieces(tf.constant(TEXT + HARD))).to_list()
    ours = {piece: 4 + place for place, piece in enumerate(inner)}
    expected = [[ours.get(sp.id_to_piece(i), 1) for i in sp.encode(t)] for t in TEXT + HARD]
    assert found == expected
    assert through_ids(tokenizer, TEXT) == TEXT


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize(
    "spaces",
    [
        {},
        {"remove_extra_whitespaces": False},
        {"add_dummy_prefix": False},
        {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
    ],
)
def test_byte_fallback_goes_round(model_type, spaces):
    model = foreign(
        vocab_size=340,
        model_type=model_type,
        byte_fallback=True,
        normalization_rule_name="identity",
        **spaces,
    )
    sp, tokenizer = package(model), SentencePiece(model)
    texts = [text for text in TEXT + HARD if "▁" not in text]  # it is the mark of a space
    assert pieces_of(tokenizer, texts) == [sp.encode(t, out_type=str) for t in texts]
    expected = [sp.decode(sp.encode(t)) for t in texts]
    assert through_ids(tokenizer, texts) == expected
    if "remove_extra_whitespaces" in spaces:
        assert expected == texts
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(texts)))
    assert 1 not in ids.values.numpy()


def test_byte_fallback_of_bytes_that_are_no_text():
    tokenizer = SentencePiece(foreign(vocab_size=340, byte_fallback=True, **OURS))
    pieces = tf.constant([["▁the", "<0xE4>", "<0xB8>", "▁a", "<0xFF>", "", "<unk>"]])
    assert text_of(tokenizer.detokenize(pieces)) == ["the\ufffd a\ufffd \N{DOUBLE QUESTION MARK} "]
    for text in through_ids(tokenizer, BROKEN):
        assert "\ufffd" in text


@pytest.mark.parametrize("model_type", MODELS)
def test_special_tokens_are_added_to_a_model(model_type, tmp_path):
    model = foreign(model_type=model_type, control_symbols=["<2fr>"])
    (tmp_path / "it.model").write_bytes(model)
    config = TokenizerConfig(file=str(tmp_path / "it.model"), special_tokens=["<2de>", "<2fr>"])
    tokenizer = tokenizers.train(config, iter(()))
    plain = SentencePiece(model)
    assert [p for p in tokenizer.vocabulary if p != "<2fr>"] == [*plain.vocabulary, "<2de>"]
    assert pieces_of(tokenizer, TEXT) == pieces_of(plain, TEXT)
    texts = ["<2de> the cat", "dog<2fr>s <2de><2fr>"]
    found = pieces_of(tokenizer, texts)
    assert [[p for p in row if p.startswith("<2")] for row in found] == [
        ["<2de>"],
        ["<2fr>", "<2de>", "<2fr>"],
    ]
    assert through_ids(tokenizer, texts) == texts
    tokenizer.save(tmp_path, "source")
    again = tokenizers.load(tmp_path, "source")
    assert again.vocabulary == tokenizer.vocabulary
    assert pieces_of(again, texts) == found


def test_models_that_cannot_be_joined_again_are_refused(tmp_path):
    (tmp_path / "it.model").write_bytes(foreign(treat_whitespace_as_suffix=True))
    with pytest.raises(UserError, match=r"it\.model: model: expected one that marks the space bef"):
        tokenizers.train(TokenizerConfig(file=str(tmp_path / "it.model")), ())
    changed = messages.ModelProto.FromString(foreign())
    changed.denormalizer_spec.precompiled_charsmap = b"x"
    with pytest.raises(ValueError, match="expected one that does not rewrite what it decodes"):
        SentencePiece(changed.SerializeToString())
    with pytest.raises(ValueError, match="special_tokens: expected no ▁ and no unknown, came "):
        SentencePiece(foreign(), ["<unk>"])
    with pytest.raises(ValueError, match="special_tokens: expected none for a word model"):
        SentencePiece(foreign(model_type="word"), ["<2de>"])
    for content in (b"", b"no model", b"\xff" * 40, foreign()[:1000]):
        (tmp_path / "it.model").write_bytes(content)
        with pytest.raises(UserError, match=r"it\.model: model: expected a SentencePiece model, c"):
            tokenizers.train(TokenizerConfig(file=str(tmp_path / "it.model")), ())


def test_a_unigram_model_draws_among_all_cuttings():
    config = TokenizerConfig(size=60, sampling=SubwordSampling(alpha=0.1), special_tokens=["<2de>"])
    tokenizer = tokenizers.train(config, TEXT)
    check_sampling(tokenizer)
    (wild,) = pieces_of(
        SentencePiece(tokenizer._model, [], SubwordSampling(alpha=0.0)), [TEXT[0]], True
    )
    assert "".join(wild) == "▁" + TEXT[0].replace(" ", "▁")


def test_a_unigram_model_draws_among_the_likeliest():
    model = foreign(**OURS)
    tokenizer = SentencePiece(model, (), SubwordSampling(alpha=0.1, nbest=3))
    likeliest = package(model).nbest_encode("the cats", nbest_size=3, out_type=str)
    drawn = Counter(map(tuple, pieces_of(tokenizer, ["the cats"] * 2000, sample=True)))
    assert set(drawn) == set(map(tuple, likeliest))
    assert drawn.most_common(1)[0][0] == tuple(likeliest[0])


def test_a_bpe_model_drops_merges():
    config = TokenizerConfig(
        model="bpe", size=60, sampling=SubwordSampling(dropout=0.3), special_tokens=["<2de>"]
    )
    tokenizer = tokenizers.train(config, TEXT)
    check_sampling(tokenizer)
    often = SentencePiece(tokenizer._model, [], SubwordSampling(dropout=0.999))
    letters = ["▁", *"the", "▁", *"cat"]
    assert pieces_of(often, ["the cat"] * 20, sample=True).count(letters) > 15


def check_sampling(tokenizer):
    texts = ["<2de> the cats barked<2de> at the do<2de>gs"] * 30
    still, drawn = pieces_of(tokenizer, texts), pieces_of(tokenizer, texts, sample=True)
    assert len({tuple(row) for row in still}) == 1
    assert len({tuple(row) for row in drawn}) > 5
    joined = "▁<2de>▁the▁cats▁barked<2de>▁at▁the▁do<2de>gs"
    assert {"".join(row) for row in drawn} == {joined}
    assert all(row.count("<2de>") == 3 for row in drawn)
    ids = tokenizer.ids(tokenizer.pieces(tf.constant(texts), sample=True))
    assert 1 not in ids.values.numpy()
    assert pieces_of(tokenizer, texts) == still  # drawing leaves no trace


@pytest.mark.parametrize("special", [(), ("<2de>",)])
def test_sampling_draws_anew_in_tf_data(special):
    tokenizer = SentencePiece(foreign(**OURS), special, SubwordSampling(alpha=0.1))
    rows = tf.data.Dataset.from_tensors(TEXT[:1]).repeat(30)
    drawn = rows.map(
        lambda text: tf.strings.reduce_join(tokenizer.pieces(text, True), -1, separator="|")
    )
    assert len({row.numpy()[0] for row in drawn}) > 5


def test_what_stands_for_special_tokens_in_sampling_is_no_text():
    tokenizer = SentencePiece(foreign(**OURS), ["<2de>"], SubwordSampling(alpha=0.1))
    (found,) = pieces_of(tokenizer, ["\U0010f000<2de>"], sample=True)
    assert found.count("<2de>") == 1
    for rows in (HARD, BROKEN, []):
        assert tokenizer.pieces(tf.constant(rows, tf.string), sample=True).nrows() == len(rows)


def test_sampling_is_saved(tmp_path):
    tokenizer = SentencePiece(foreign(**OURS), (), SubwordSampling(alpha=0.2, nbest=64))
    tokenizer.save(tmp_path, "source")
    assert tokenizers.load(tmp_path, "source").sampling == SubwordSampling(alpha=0.2, nbest=64)


def test_sampling_needs_its_model(tmp_path):
    with pytest.raises(UserError, match="sampling: expected dropout for model bpe, came none"):
        TokenizerConfig(model="bpe", sampling=SubwordSampling(alpha=0.1))
    with pytest.raises(UserError, match="sampling: expected none for characters"):
        TokenizerConfig("characters", sampling=SubwordSampling(alpha=0.1))
    for wrong in ({}, {"alpha": 0.1, "dropout": 0.1}):
        with pytest.raises(UserError, match=r"expected alpha \(unigram\) or dropout \(bpe\), came"):
            SubwordSampling(**wrong)
    with pytest.raises(UserError, match="nbest: expected -1 or an integer from 2 to 512, came 1"):
        SubwordSampling(alpha=0.1, nbest=1)
    for model_type, expected in (("bpe", "expected dropout for a bpe"), ("char", "expected none")):
        (tmp_path / "it.model").write_bytes(foreign(model_type=model_type))
        config = TokenizerConfig(
            file=str(tmp_path / "it.model"), sampling=SubwordSampling(alpha=0.1)
        )
        with pytest.raises(UserError, match=rf"it\.model: sampling: {expected}"):
            tokenizers.train(config, ())


def test_an_export_holds_the_model_once(tmp_path):
    sizes = []
    for sampling in (None, SubwordSampling(alpha=0.1)):
        tokenizer = SentencePiece(foreign(**OURS), ["<2de>"], sampling)
        module = tf.Module()
        module.tokenizer = tokenizer
        spec = [tf.TensorSpec([None], tf.string)]
        run = tf.function(lambda text, t=tokenizer: t.ids(t.pieces(text)).to_tensor(), spec)
        folder = tmp_path / str(len(sizes))
        tf.saved_model.save(module, str(folder), signatures=run)
        sizes.append((folder / "saved_model.pb").stat().st_size)
    assert sizes[1] == pytest.approx(sizes[0], abs=100)
