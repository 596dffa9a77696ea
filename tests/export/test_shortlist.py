"""Vocabulary shortlists."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Config, Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import VerificationError, export_translator
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

LISTED = ["f", "b", "c", "<unk>"]
UNLISTED = ["a", "d", "e", "g"]
DECODING = Decoding(beam_size=3, max_length=6)
TEXTS = ["a b c", "h i d", "f f f f", ""]


def make(head, shortlist=None, decoder="gru"):
    model = models.make("gru", decoder, head)
    return Translator(model, *tokenizers(), DECODING, shortlist=shortlist)


def test_ids_of_a_shortlist():
    _, full = tokenizers()
    short = Shortlist(full, LISTED)
    assert short.vocabulary == (*full.vocabulary[:4], "b", "c", "f")
    assert [full.vocabulary[i] for i in short.whole_ids] == list(short.vocabulary)
    cut = short.tokenize(tf.constant(["f a b zz"]))
    assert cut.to_list() == [[b"f", b"a", b"b", b"zz"]]
    assert short.ids(cut).to_list() == [[6, 1, 4, 1]]
    assert short.detokenize(cut.to_tensor()).numpy().tolist() == [b"f a b zz"]
    for pieces, problem in (
        (["b", "x"], "got 'x'"),
        ([], "at least one"),
        (["<s>"], "not reserved"),
    ):
        with pytest.raises(ValueError, match=f"shortlist: expected .*{problem}"):
            Shortlist(full, pieces)


@pytest.mark.parametrize(
    "head", ["pointer", *(pytest.param(x, marks=pytest.mark.slow) for x in ("softmax", "tied"))]
)
def test_search_equals_a_model_without_the_other_tokens(head):
    short, full = make(head, LISTED, "pre"), make(head, decoder="pre")
    bias = full.model.head.bias if head == "tied" else full.model.head.projection.bias
    unlisted = [full.target_tokenizer.vocabulary.index(token) for token in UNLISTED]
    bias.assign(
        tf.tensor_scatter_nd_update(bias.value, [[i] for i in unlisted], [-1e9] * len(unlisted))
    )
    for options in ({"beam_size": 1}, {"num_hypotheses": 3}, {"constraints": ["b c"]}):
        options["min_length"] = 3
        expected = full.decode(TEXTS, **options)
        assert any(row[0].tokens for row in expected)
        for one, other in zip(short.decode(TEXTS, **options), expected, strict=True):
            assert [x.tokens for x in one] == [x.tokens for x in other]
            np.testing.assert_allclose(
                [x.log_prob for x in one], [x.log_prob for x in other], atol=1e-4
            )
    # Scores and attention use the complete vocabulary.
    given, own = ["a g"], make(head, decoder="pre")
    assert short.score(["a b"], given) == own.score(["a b"], given)


def test_unlisted_token_can_be_copied():
    short = make("pointer", LISTED)
    found = short.decode(["a h b", "b b"], beam_size=1, prefix_tokens=["a", "h"])
    assert found[0][0].tokens[:2] == ["a", "h"]  # copied from the source
    assert found[1][0].tokens[:2] == ["<unk>", "<unk>"]


@pytest.mark.slow
def test_export_is_verified_with_its_shortlist(tmp_path):
    short, full = make("tied", LISTED), make("tied")
    path = export_translator(short, tmp_path / "served", weights="float16")
    card = read_card(path)
    assert card["variant"]["shortlist"] == card["vocabularies"]["shortlist"]["size"] == 7
    assert card["vocabularies"]["shortlist"]["tokens"] == ["b", "c", "f"]
    with LocalModel(path.parent) as served:
        found = served.translate(["b c f", "f b"], min_length=2)
    emitted = {token for one in found for token in one[0].tokens}
    assert emitted and not emitted & {"a", "d", "e", "g"}
    (tmp_path / "exchange").mkdir()
    with pytest.raises(VerificationError):
        verify_export(full, path, tmp_path / "exchange", build_corpus(full))


def test_ensemble_has_no_shortlist():
    model = Ensemble([models.make("gru", "gru", "softmax")] * 2)
    with pytest.raises(ValueError, match="tokens: expected None for an ensemble"):
        Translator(model, *tokenizers(), DECODING, shortlist=LISTED)


def test_shortlist_from_a_count_or_a_file(tmp_path):
    run, pair = tmp_path / "run", tokenizers()
    make("softmax").save(run)
    assert most_frequent_tokens(["c c b", "b c a z z z z"], pair[1], 2) == ["c", "b"]
    assert most_frequent_tokens(["g e"], pair[1], 9) == ["e", "g"]  # in the order of ids
    (tmp_path / "list").write_text("f\nb\n\n")
    assert load_shortlist(run, str(tmp_path / "list")) == ["f", "b"]
    (tmp_path / "list").write_text("f\nq\n")
    for shortlist, problem in (
        (tmp_path / "list", "list: shortlist: expected tokens of the vocabulary, got 'q'"),
        (tmp_path / "none", "none"),
        (0, "shortlist: expected a file or at least 1 token, got 0"),
        (5, "shortlist: expected a file because .* names no training data .*, got 5"),
    ):
        with pytest.raises(UserError, match=problem):
            load_shortlist(run, str(shortlist))
    raw = Config.from_run(run).to_dict()
    raw["data"]["train"] = {"pairs": str(tmp_path / "pairs.tsv")}
    Config.from_dict(raw).save(run / "config.yml")
    with pytest.raises(
        UserError, match="because the training data of .* cannot be read: .*pairs.tsv"
    ):
        load_shortlist(run, "2")
    (tmp_path / "pairs.tsv").write_text("a\tb\nb\td d\na\tb d\n")
    assert load_shortlist(run, "1") == ["d"]
