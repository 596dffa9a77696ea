"""Every option through the translator: mixed batches, scores, continuations, ensembles."""

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.errors import UserError
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.signatures.fields import SAMPLE, TRANSLATE
from keras_s2s.signatures.responses import read_rows
from keras_s2s.tokenizers import train
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.search import mixed_requests
from tests.search.mixed_requests import (
    INVALID_ROWS,
    INVALID_SAMPLES,
    TEXTS,
    VALID_ROWS,
    VALID_SAMPLES,
    mix_rows,
    option_columns,
)

LETTERS = TokenizerConfig(kind="whitespace", size=None)
CASES = {"pointer": ("bigru", "gru", "pointer"), "transformer": ("pre", "pre", "tied")}


def tokenizers(target="a b c d e f g"):
    return train(LETTERS, ["a b c d e f g h i"]), train(LETTERS, [target])


def make_model(case, seed=None):
    model = models.make(*case)
    if seed is not None:
        random = np.random.default_rng(seed)
        for weight in model.trainable_variables:
            weight.assign_add(random.normal(0, 0.25, weight.shape))
    return model


@pytest.fixture(
    scope="module", params=["pointer", pytest.param("transformer", marks=pytest.mark.slow)]
)
def translator(request):
    return Translator(make_model(CASES[request.param]), *tokenizers())


def decode(translator, rows, texts, batch_size=100):
    options = option_columns(rows, TRANSLATE, translator.defaults())
    return translator.decode(texts, batch_size=batch_size, errors="return", **options)


def sample(translator, rows, texts, batch_size=100):
    options = option_columns(rows, SAMPLE, translator.defaults(SAMPLE))
    return translator.sample(texts, batch_size=batch_size, errors="return", **options)


def decode_eagerly(translator, texts, **options):
    """Returns the result of `decode` without compiling anything."""
    types = {field.name: field.dtype for field in TRANSLATE.inputs}
    options = {name: tf.constant(x, types[name]) for name, x in options.items()}
    outputs = translator.translate_tensors(tf.constant(texts), **options)
    rows = [{name: x[place].numpy() for name, x in outputs.items()} for place in range(len(texts))]
    return read_rows("translate", rows)


def assert_same(one, other, at=""):
    assert [h.tokens for h in one] == [h.tokens for h in other], at
    for a, b in zip(one, other):
        assert (a.text, a.finished, a.source_tokens) == (b.text, b.finished, b.source_tokens), at
        for name in ("score", "log_prob", "token_log_probs", "alignment"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=at)


@pytest.mark.parametrize(
    ("run", "good", "bad", "times"),
    [(decode, VALID_ROWS, INVALID_ROWS, 2), (sample, VALID_SAMPLES, INVALID_SAMPLES, 4)],
    ids=["translate", "sample"],
)
def test_rows_do_not_depend_on_their_batch(translator, run, good, bad, times):
    rows, texts, messages = mix_rows(good, bad, times)
    if run is decode:
        assert len(rows) > 64
    found, problems = run(translator, rows, texts)
    assert problems == messages
    for place, (row, text) in enumerate(zip(rows, texts)):
        alone, problem = run(translator, [row], [text], 1)
        assert problem.get(0) == messages.get(place), row
        assert_same(found[place], alone[0], f"row {place} {row} {text!r}")
        wanted = row.get("num_samples", row.get("num_hypotheses", 1))
        if place in messages:
            assert found[place] == []
        elif run is sample:
            assert len(found[place]) == wanted
        else:
            assert 0 < len(found[place]) <= wanted, row


def test_eager_results_equal_compiled_ones(translator):
    rows, texts, messages = mix_rows(VALID_ROWS, INVALID_ROWS[:3], 1)
    found, _ = decode(translator, rows, texts)
    options = mixed_requests.request_inputs(rows, TRANSLATE, translator.defaults())
    eager, problems = decode_eagerly(translator, texts, **options)
    assert problems == messages
    for one, other in zip(eager, found, strict=True):
        assert_same(one, other)


def test_options_have_their_effects(translator):
    rows, texts, _ = mix_rows(VALID_ROWS, [], 7)  # every option with many texts
    found, problems = decode(translator, rows, texts)
    assert problems == {}
    for row, text, hypotheses in zip(rows, texts, found):
        prefix = row.get("target_prefix", "").split() or row.get("prefix_tokens", [])
        unknown = "replace_unknown" in row
        copied = set(text.split()) if translator.model.supports_copy else set()
        outside = set(prefix) - set("abcdefg") - copied
        prefix = ["<unk>" if token in outside else token for token in prefix]
        most = min(row["max_length"], len(prefix) + row.get("max_new_tokens", 99))
        if "max_length_ratio" in row:
            most = min(most, int(np.ceil(row["max_length_ratio"] * len(text.split()))))
        least = max(row.get("min_length", 0), row.get("min_length_ratio", 0) * len(text.split()))
        for h in hypotheses:
            tokens = h.tokens
            assert unknown or tokens[: len(prefix)] == prefix
            assert min(least, most) <= len(tokens) <= most
            lines = [f" {' '.join(tokens)} "] * 2
            for wanted in row.get("constraints", []):
                known = " ".join(t if t in "abcdefg" else "<unk>" for t in wanted.split())
                assert f" {wanted} " in lines[0] or f" {known} " in lines[1], (row, tokens)
            for never in row.get("disallowed", []):
                assert f" {never} " not in lines[0]
            n = row.get("no_repeat_ngram", 0)
            grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)] if n else []
            assert len(grams) == len(set(grams))
        if "alternatives_at" in row:
            at = row["alternatives_at"]
            branches = [tuple([*h.tokens, "</s>"][at : at + 1]) for h in hypotheses]
            assert len({tuple(h.tokens[:at]) for h in hypotheses}) == 1
            assert len(set(branches)) == len(branches)
        keys = [tuple(h.tokens) for h in hypotheses]
        assert len(set(keys)) == len(keys) or row.get("beam_groups", 1) > 1


def check_scores(translator, texts, found, atol=2e-4):
    pairs = [(text, h) for text, hypotheses in zip(texts, found) for h in hypotheses]
    sources, tokens = [text for text, _ in pairs], [h.tokens for _, h in pairs]
    scores = translator.score(sources, target_tokens=tokens)
    for (text, h), score in zip(pairs, scores):
        at = f"{text!r} {h.tokens}"
        assert score.tokens == [*h.tokens, "</s>"]
        np.testing.assert_allclose(score.log_prob, h.log_prob, atol=atol, err_msg=at)
        np.testing.assert_allclose(score.token_log_probs, h.token_log_probs, atol=atol, err_msg=at)
    return len(pairs)


def test_scores_of_hypotheses_are_their_log_probs(translator):
    rows, texts, _ = mix_rows([row for row in VALID_ROWS if "replace_unknown" not in row], [])
    found, _ = decode(translator, rows, texts)
    assert check_scores(translator, texts, found) > 100
    rows, texts, _ = mix_rows(VALID_SAMPLES, [])
    found, _ = sample(translator, rows, texts)
    assert check_scores(translator, texts, found) > 50


def test_greedy_search_continues_any_of_its_prefixes(translator):
    lengths = []
    for text in TEXTS:
        whole = translator.decode([text], beam_size=1, max_length=7)[0][0]
        count = len(whole.tokens)
        prefixes = [whole.tokens[:place] for place in range(count + 1)]
        many = [text] * len(prefixes)
        again = translator.decode(many, beam_size=1, max_length=7, prefix_tokens=prefixes)
        for found in again:
            assert_same(found, [whole], text)
        again = translator.decode(
            many, beam_size=1, max_length=7, prefix_tokens=prefixes, max_new_tokens=2
        )
        for place, found in enumerate(again):
            assert found[0].tokens == whole.tokens[: place + 2]
        lengths.append(count)
    assert max(lengths) > 2


def test_samples_continue_any_of_their_prefixes(translator):
    lengths = []
    for seed, text in enumerate(TEXTS):
        whole = translator.sample([text], seed=seed, max_length=7, temperature=1.3)[0][0]
        prefixes = [whole.tokens[:place] for place in range(len(whole.tokens) + 1)]
        again = translator.sample(
            [text] * len(prefixes),
            seed=seed,
            max_length=7,
            temperature=1.3,
            prefix_tokens=prefixes,
        )
        for found in again:
            assert_same(found, [whole], text)
        lengths.append(len(whole.tokens))
    assert max(lengths) > 2


def test_equal_seeds_give_equal_targets_and_others_do_not(translator):
    options = {"num_samples": 8, "max_length": 5, "temperature": 1.5}
    one, two, three = translator.sample(["a b c"] * 3, seed=[3, 3, 4], **options)
    assert_same(one, two)
    assert [h.tokens for h in one] != [h.tokens for h in three]
    assert [h.score for h in one] == sorted((h.score for h in one), reverse=True)


UNSURE = [(0, ""), (1, "a"), (5, "i h g f e"), (3, "zz a zz"), (3, "a b <unk>")]
WORDS = {"a": "alpha", "zz": "sleep well", "h": "f", "nowhere": "x"}


@pytest.mark.parametrize("dictionary", [None, WORDS], ids=["copies", "dictionary"])
def test_unknown_tokens_are_replaced_by_the_tokens_they_attend_to(dictionary):
    model = make_model(("bigru", "gru", "softmax"))
    bias = next(w for w in model.head.weights if w.shape == (models.TARGET_SIZE,))
    bias.assign_add([0.0, 40.0] + [0.0] * (models.TARGET_SIZE - 2))
    translator = Translator(model, *tokenizers(), dictionary=dictionary)
    texts = [text for _, text in UNSURE]
    plain, replaced, mixed_ = (
        decode_eagerly(
            translator, texts, max_length=[4], beam_size=[2], num_hypotheses=[2], replace_unknown=on
        )[0]
        for on in ([False], [True], [True, False] * 2 + [True])
    )
    seen = set()
    for place, text in enumerate(texts):
        for before, after in zip(plain[place], replaced[place]):
            assert "<unk>" in before.tokens
            expected = []
            for token, weights in zip(before.tokens, before.alignment):
                source = before.source_tokens[int(np.argmax(weights[:-1]))] if text else "<unk>"
                source = (dictionary or {}).get(source, source)
                expected.append(source if token == "<unk>" else token)
            assert after.tokens == expected
            assert after.text == " ".join(expected)
            assert (after.log_prob, after.score) == (before.log_prob, before.score)
            seen |= set(expected)
        chosen = replaced if place % 2 == 0 else plain
        assert [h.tokens for h in mixed_[place]] == [h.tokens for h in chosen[place]]
    assert seen & ({"alpha", "sleep well"} if dictionary else {"a", "zz"})
    assert not dictionary or not seen & {"a", "zz", "h"}


def test_serving_default_has_the_defaults_of_the_run():
    decoding = Decoding(
        beam_size=4,
        coverage_penalty=0.3,
        no_repeat_ngram=2,
        disallowed=["a", "b c"],
        repetition_penalty=1.5,
        beam_groups=2,
        diversity_penalty=0.5,
        max_length=6,
        replace_unknown=True,
        length_offset=1.0,
    )
    for own in (decoding, Decoding(max_length=6, beam_size=3)):
        model = make_model(("bigru", "gru", "softmax"))
        translator = Translator(model, *tokenizers(), own, dictionary=WORDS)
        texts = tf.constant(TEXTS)
        short, whole = translator.serving_default(texts), translator.translate_tensors(texts)
        np.testing.assert_array_equal(short["text"], whole["text"][:, 0])
        np.testing.assert_allclose(short["score"], whole["score"][:, 0], atol=1e-4)


def test_wrong_values_are_named(translator):
    for options, message in (
        (
            {"beam_size": [1, 2, 3]},
            r"beam_size: expected one value or 2, .* the shape \[3\]",
        ),
        (
            {"target_prefix": ["a"]},
            r"target_prefix: expected one value or 2, .* \[1\]",
        ),
        ({"constraints": [["a"]]}, r"constraints: expected one value or 2, .* \[1\]"),
        ({"constraints": ["a\nb"]}, r"constraints\[0\]: expected no line feed, got"),
        ({"beam_size": "x"}, "beam_size: expected int32, got 'x'"),
    ):
        with pytest.raises(UserError, match=message):
            translator.decode(["a", "b"], **options)
    with pytest.raises(UserError, match="target: expected none beside target_tokens"):
        translator.score(["a"], ["a"], [["a"]])
    found, problems = translator.score(["a", "b", "c"], ["b", "a " * 1025, "a"], errors="return")
    assert problems == {1: "target tokens: expected 0 to 1024, got 1025"}
    assert found[1].log_prob == -1e9
    assert found[1].tokens == found[1].words == []
    same_row = translator.score(["c"], ["a"])[0]
    assert found[2].log_prob == pytest.approx(same_row.log_prob, abs=1e-4)


PAIR = [(("bigru", "gru", "softmax"), None), (("pre", "pre", "tied"), 9)]


@pytest.fixture(scope="module")
def ensemble():
    parts = [make_model(*one) for one in PAIR]
    return Translator(Ensemble(parts), *tokenizers()), parts


def test_an_ensemble_is_the_mean_of_its_models(ensemble):
    whole, parts = ensemble
    rows, texts, messages = mix_rows(
        [r for r in VALID_ROWS if "replace_unknown" not in r], INVALID_ROWS[:2]
    )
    options = mixed_requests.request_inputs(rows, TRANSLATE, whole.defaults())
    found, problems = decode_eagerly(whole, texts, **options)
    assert problems == messages
    check_scores(whole, texts, found)
    pairs = [(text, h) for text, hypotheses in zip(texts, found) for h in hypotheses]
    tokens = ["\n".join(h.tokens) for _, h in pairs]
    columns_ = [tf.constant(x) for x in ([text for text, _ in pairs], [""] * len(pairs), tokens)]
    each = [Translator(part, *tokenizers()).functions()["score"](*columns_) for part in parts]
    one, two = (outputs["token_log_probs"].numpy() for outputs in each)
    for place, (_, h) in enumerate(pairs):
        count = len(h.tokens) + 1
        mean = np.logaddexp(one[place, :count], two[place, :count]) - np.log(2)
        np.testing.assert_allclose(h.token_log_probs, mean, atol=1e-4)
    one, two = (outputs["log_prob"].numpy() for outputs in each)
    assert np.abs(one - two).max() > 0.1


def test_an_ensemble_of_one_model_with_itself_is_the_model(translator):
    twice = Translator(Ensemble([translator.model, translator.model]), *tokenizers())
    rows, texts, _ = mix_rows(VALID_ROWS, [], 1)
    options = mixed_requests.request_inputs(rows, TRANSLATE, translator.defaults())
    found, _ = decode(translator, rows, texts)
    for one, other in zip(decode_eagerly(twice, texts, **options)[0], found, strict=True):
        assert_same(one, other)


def test_an_ensemble_needs_equal_vocabularies(ensemble, tmp_path):
    _, parts = ensemble
    for name, model, target in (
        ("one", parts[0], "a b c d e f g"),
        ("two", parts[1], "a b c d e f g"),
        ("other", parts[1], "a b c d e f x"),
    ):
        Translator(model, *tokenizers(target), Decoding(max_length=5)).save(tmp_path / name)
    whole = Translator.load([tmp_path / "one", tmp_path / "two"])
    assert isinstance(whole.model, Ensemble)
    assert whole.decoding.max_length == 5
    with pytest.raises(ValueError, match="model: expected one that is no ensemble"):
        whole.save(tmp_path / "three")
    message = "other/tokenizers: expected the target vocabulary of .*one, got another"
    with pytest.raises(UserError, match=message):
        Translator.load([tmp_path / "one", tmp_path / "other"])
    with pytest.raises(ValueError, match="models: expected copies False as in the .*, got True"):
        Ensemble([parts[0], make_model(CASES["pointer"])])
    with pytest.raises(ValueError, match="models: expected at least one, got none"):
        Ensemble([])


def test_constraints_that_no_allowed_target_meets_are_an_error(translator):
    texts, options = ["a b", "a b"], {"constraints": [["a a"], ["a b"]], "no_repeat_ngram": 1}
    found, errors = translator.decode(texts, errors="return", max_length=6, **options)
    assert errors == {0: "options: expected a target that all of them allow, found none"}
    assert found[0] == []
    assert found[1][0].tokens
    with pytest.raises(UserError, match="options: expected a target that all of them allow"):
        translator.translate(texts, max_length=6, **options)


def test_attention_returns_the_errors_of_its_rows(translator):
    found, errors = translator.attention(["a", "a " * 1100], ["b", "b"], errors="return")
    assert list(errors) == [1]
    assert errors[1].startswith("text tokens: expected 0 to 1024")
    assert (found[0].tokens[0], found[1].tokens, found[1].source_tokens) == ("b", [], [])
