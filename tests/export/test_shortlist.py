"""Exports whose searches give some of the target's tokens only."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Config, Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import NotProven, export_translator
from keras_s2s.export.model_card import read_card
from keras_s2s.export.saved_model.verification import verify_export
from keras_s2s.export.shortlist import load_shortlist, most_frequent_tokens
from keras_s2s.export.verification.request_corpus import build_corpus
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.tokenizers import Shortlist
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.tiny_models import tokenizers

KEPT = ["f", "b", "c", "<unk>"]
OTHERS = ["a", "d", "e", "g"]
DECODING = Decoding(beam_size=3, max_length=6)
TEXTS = ["a b c", "h i d", "f f f f", ""]


def make(head, shortlist=None, decoder="gru"):
    model = models.make("gru", decoder, head)
    return Translator(model, *tokenizers(), DECODING, shortlist=shortlist)


def test_ids_of_a_shortlist_are_those_of_its_pieces():
    _, whole = tokenizers()
    short = Shortlist(whole, KEPT)
    assert short.vocabulary == (*whole.vocabulary[:4], "b", "c", "f")
    assert [whole.vocabulary[i] for i in short.whole_ids] == list(short.vocabulary)
    cut = short.tokenize(tf.constant(["f a b zz"]))
    assert cut.to_list() == [[b"f", b"a", b"b", b"zz"]]
    assert short.ids(cut).to_list() == [[6, 1, 4, 1]]
    assert short.detokenize(cut.to_tensor()).numpy().tolist() == [b"f a b zz"]
    for pieces, problem in ((["b", "x"], "came 'x'"), ([], "at least one"), (["<s>"], "not spec")):
        with pytest.raises(ValueError, match=f"shortlist: expected .*{problem}"):
            Shortlist(whole, pieces)


@pytest.mark.parametrize(
    "head", ["pointer", *(pytest.param(x, marks=pytest.mark.slow) for x in ("softmax", "tied"))]
)
def test_a_search_finds_what_a_model_finds_that_gives_all_others_no_probability(head):
    short, whole = make(head, KEPT, "pre"), make(head, decoder="pre")
    bias = whole.model.head.bias if head == "tied" else whole.model.head.projection.bias
    out = [whole.target_tokenizer.vocabulary.index(token) for token in OTHERS]
    bias.assign(tf.tensor_scatter_nd_update(bias.value, [[i] for i in out], [-1e9] * len(out)))
    for options in ({"beam_size": 1}, {"num_hypotheses": 3}, {"constraints": ["b c"]}):
        options["min_length"] = 3
        expected = whole.decode(TEXTS, **options)
        assert any(one[0].tokens for one in expected)
        for one, other in zip(short.decode(TEXTS, **options), expected, strict=True):
            assert [x.tokens for x in one] == [x.tokens for x in other]
            np.testing.assert_allclose(
                [x.log_prob for x in one], [x.log_prob for x in other], atol=1e-4
            )
    # What is scored or attended to is not searched for: the whole model's.
    given, own = ["a g"], make(head, decoder="pre")
    assert short.score(["a b"], given) == own.score(["a b"], given)


def test_a_token_that_is_not_listed_can_be_copied():
    short = make("pointer", KEPT)
    found = short.decode(["a h b", "b b"], beam_size=1, prefix_tokens=["a", "h"])
    assert found[0][0].tokens[:2] == ["a", "h"]  # of this text, if not of the vocabulary
    assert found[1][0].tokens[:2] == ["<unk>", "<unk>"]


@pytest.mark.slow
def test_an_export_is_proved_against_the_model_with_its_shortlist(tmp_path):
    short, whole = make("tied", KEPT), make("tied")
    path = export_translator(short, tmp_path / "served", weights="float16")
    card = read_card(path)
    assert card["variant"]["shortlist"] == card["vocabularies"]["shortlist"]["size"] == 7
    assert card["vocabularies"]["shortlist"]["tokens"] == ["b", "c", "f"]
    with LocalModel(path.parent) as served:
        found = served.translate(["b c f", "f b"], min_length=2)
    given = {token for one in found for token in one[0].tokens}
    assert given and not given & {"a", "d", "e", "g"}
    (tmp_path / "beside").mkdir()
    with pytest.raises(NotProven):
        verify_export(whole, path, tmp_path / "beside", build_corpus(whole))


def test_an_ensemble_has_none():
    model = Ensemble([models.make("gru", "gru", "softmax")] * 2)
    with pytest.raises(ValueError, match="tokens: expected None for an ensemble"):
        Translator(model, *tokenizers(), DECODING, shortlist=KEPT)


def test_the_most_frequent_tokens_and_those_of_a_file(tmp_path):
    run, pair = tmp_path / "run", tokenizers()
    make("softmax").save(run)
    assert most_frequent_tokens(["c c b", "b c a z z z z"], pair[1], 2) == ["c", "b"]
    assert most_frequent_tokens(["g e"], pair[1], 9) == ["e", "g"]  # in the order of ids
    (tmp_path / "list").write_text("f\nb\n\n")
    assert load_shortlist(run, str(tmp_path / "list")) == ["f", "b"]
    (tmp_path / "list").write_text("f\nq\n")
    for given, problem in (
        (tmp_path / "list", "list: shortlist: expected pieces of the vocabulary, came 'q'"),
        (tmp_path / "none", "none"),
        (0, "shortlist: expected a file or at least 1 token, came 0"),
        (5, "shortlist: expected a file, for .* names no training data .*; came 5"),
    ):
        with pytest.raises(UserError, match=problem):
            load_shortlist(run, str(given))
    raw = Config.from_run(run).to_dict()
    raw["data"]["train"] = {"pairs": str(tmp_path / "pairs.tsv")}
    Config.from_dict(raw).save(run / "config.yml")
    with pytest.raises(UserError, match="for the training data of .* cannot be read: .*pairs.tsv"):
        load_shortlist(run, "2")
    (tmp_path / "pairs.tsv").write_text("a\tb\nb\td d\na\tb d\n")
    assert load_shortlist(run, "1") == ["d"]
