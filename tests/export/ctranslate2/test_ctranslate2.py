"""CTranslate2 gives what the run gives, or nothing is published."""

import importlib.util
import json
import os
import resource
import stat

import ctranslate2
import keras
import numpy as np
import pytest
import tensorflow as tf
from ctranslate2.specs.model_spec import ACCEPTED_MODEL_TYPES

from keras_s2s import tokenizers
from keras_s2s.config import Decoding, TokenizerConfig
from keras_s2s.decoders import TransformerDecoder
from keras_s2s.encoders import TransformerEncoder
from keras_s2s.errors import UserError
from keras_s2s.export import export_ctranslate2
from keras_s2s.export.ctranslate2 import model_spec, verification
from keras_s2s.heads import SoftmaxHead
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.models.seq2seq import Seq2Seq
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.references import MARIAN, skip_saturating_int8

LETTERS = TokenizerConfig(kind="whitespace", size=None)
PAIR = tokenizers.train(LETTERS, ["a b c d e f g h i"]), tokenizers.train(LETTERS, ["A B C D E"])
TEXTS = ["a b c", "c", "i h g f e d c b a", "zz a"]
# Encoder's norm, decoder's norm, tie. The parts differ in what they can differ in.
CASES = [("pre", "pre", "none"), ("post", "post", "all")]  # others below, without a search


def make(encoder, decoder, tie, pair, spread=0.7, **more):
    """A random model that has learnt what every trained one has: no padding, no start, an end."""
    keras.utils.set_random_seed(3)
    width = 8 if tie == "all" else 12
    source, target = (side.size for side in pair)
    model = Seq2Seq(
        TokenEmbedding(source, width),
        TransformerEncoder(width, 2, 4, norm=encoder, **more),
        TokenEmbedding(target, 8),
        TransformerDecoder(8, 3, 2, 20, norm=decoder, **more),
        SoftmaxHead(target),
        tie,
    )
    model.build()
    random = np.random.default_rng(17)
    for weight in model.trainable_variables:
        centre, own = weight.path.endswith("gamma"), spread if len(weight.shape) > 1 else 0.3
        weight.assign(random.normal(centre, own, weight.shape))
    # Signs that differ: a tied head else likes the token best that came before.
    last = model.decoder.final_norm or model.decoder.layers[-1].feed_norm
    last.gamma.assign(random.normal(0, 1.5, last.gamma.shape))
    bias = model.head.bias if model.head.tied else model.head.projection.bias
    bias.assign(np.concatenate([[-20, bias[1], -20, 1], bias[4:]]))
    return model


class Case:
    """A run with options of its own, what it gives for the probes, and the published model."""

    def __init__(self, case, root):
        pair = PAIR if case[2] != "all" else PAIR[:1] * 2
        options = Decoding(beam_size=2, num_hypotheses=2, disallowed=["A", "a"], min_length=3)
        Translator(make(*case, pair), *pair, options).save(root / "run")
        self.run, self.expect, self.known = root / "run", verification.compute_expected, []
        self.load, self.loaded = Translator.load, None
        with pytest.MonkeyPatch.context() as patch:
            self.remember(patch)
            self.path = export_ctranslate2(self.run, root / "new" / "model")
        self.expected, self.pair = self.known[0], pair
        self.translator = self.expected.translator
        self.engine = ctranslate2.Translator(str(self.path), intra_threads=1)

    def remember(self, patch):
        """Spares further exports the reading of the run and the tracing of graphs."""

        def expect(translator):
            self.known = self.known or [self.expect(translator)]
            return self.known[0]

        def load(run, checkpoint):
            self.loaded = self.loaded or self.load(run, checkpoint)
            return self.loaded

        patch.setattr(verification, "expect", expect)
        patch.setattr(Translator, "load", load)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    made = {}

    def get(case):
        if case not in made:
            made[case] = Case(case, tmp_path_factory.mktemp("case"))
        return made[case]

    return get


@pytest.fixture(params=CASES, ids="-".join)
def case(request, cases):
    return cases(request.param)


@pytest.fixture
def first(cases, monkeypatch):
    """The first case, whose probes the run does not decode again."""
    found = cases(CASES[0])
    found.remember(monkeypatch)
    return found


@pytest.mark.parametrize("beam_size", [1, 5])
def test_tokens_and_alignments_are_those_of_the_run(case, beam_size):
    # CTranslate2 stops when enough have ended, the run when none that lives can win.
    penalty = 1.0 if beam_size == 1 else 0.0
    found = case.translator.decode(
        TEXTS, beam_size=beam_size, length_penalty=penalty, length_offset=0.0, max_length=40
    )
    given = case.engine.translate_batch(
        [text.split() for text in TEXTS],
        beam_size=beam_size,
        length_penalty=penalty,
        max_decoding_length=40,
        min_decoding_length=0,
        return_attention=True,
        patience=20,
        max_batch_size=1,  # in a batch it gives the first token's attention of its first row to all
    )
    compared = 0
    for (ours,), theirs in zip(found, given, strict=True):
        if beam_size > 1 and max(len(ours.tokens), len(theirs.hypotheses[0])) >= 40:
            continue  # cut at the limit, which a beam can be in two ways
        compared += 1
        assert theirs.hypotheses[0] == ours.tokens
        kept = ours.alignment[:, :-1]  # CTranslate2 leaves out the column of the source's end
        np.testing.assert_allclose(np.reshape(theirs.attention[0], kept.shape), kept, atol=1e-5)
    assert compared > 1


def test_log_probabilities_are_those_of_the_run(case):
    targets = [list(case.pair[1].vocabulary[4:]), [], ["<unk>"], ["B", "B", "D"]]
    scores = case.translator.score(TEXTS, target_tokens=targets)
    given = case.engine.score_batch([text.split() for text in TEXTS], targets)
    for ours, theirs in zip(scores, given, strict=True):
        np.testing.assert_allclose(theirs.log_probs, ours.token_log_probs, atol=2e-5)


def test_the_probes_reach_everything(case):
    expected = case.expected
    used = {token for tokens in expected.sources for token in tokens}
    assert used >= set(case.pair[0].vocabulary[4:])
    assert not used <= set(case.pair[0].vocabulary)  # the unknown
    used = {token for tokens in expected.targets for token in tokens}
    assert used >= set(case.pair[1].vocabulary[4:])
    for hypotheses in expected.found.values():
        assert any(hypothesis.finished for hypothesis in hypotheses)


def test_the_directory_holds_what_is_needed_and_stands_alone(case):
    shared = case.pair[0] is case.pair[1]
    sides = ["shared"] if shared else ["source", "target"]
    names = [f"{side}_vocabulary.json" for side in sides]
    assert sorted(os.listdir(case.path)) == ["config.json", "model.bin", *names, "tokenizers"]
    assert stat.S_IMODE(case.path.stat().st_mode) == 0o755
    assert os.listdir(case.path.parent) == ["model"]
    for name, tokenizer in zip(names, case.pair, strict=False):
        assert json.loads((case.path / name).read_text()) == list(tokenizer.vocabulary)
    loaded = tokenizers.load_pair(case.path / "tokenizers")
    assert [side.vocabulary for side in loaded] == [side.vocabulary for side in case.pair]
    assert (loaded[0] is loaded[1]) == shared


@pytest.mark.parametrize("quantization", skip_saturating_int8(ACCEPTED_MODEL_TYPES))
def test_weights_of_other_types(first, tmp_path, quantization):
    path = export_ctranslate2(first.run, tmp_path / "model", quantization=quantization)
    sizes = [(one / "model.bin").stat().st_size for one in (path, first.path)]
    assert (sizes[0] < sizes[1]) == (quantization != "float32")
    assert os.listdir(tmp_path) == ["model"]
    (found,) = ctranslate2.Translator(str(path), compute_type="float32").translate_batch([["a"]])
    assert found.hypotheses[0]


def change(path):
    """A mistake in one entry of one weight."""

    def changed(spec):
        name, _, weight = path.rpartition(".")
        for part in name.split("."):
            spec = spec[int(part)] if part.isdecimal() else getattr(spec, part)
        array = getattr(spec, weight).array.copy()
        array.flat[-1] += 0.5
        getattr(spec, weight).array = array

    return pytest.param(changed, id=path)


def config(**values):
    def changed(spec):
        for name, value in values.items():
            setattr(spec.config, name, value)

    return pytest.param(changed, id=str(values))


def not_a_number(spec):
    spec.decoder.layer_norm.gamma.array = spec.decoder.layer_norm.gamma.array * np.nan


def other_order(spec):
    spec._vocabularies["target"][0][4:6] = spec._vocabularies["target"][0][5:3:-1]


MISTAKES = [
    change("encoder.embeddings.0.weight"),
    change("encoder.layer.1.self_attention.linear.0.weight"),
    change("encoder.layer.0.ffn.linear_1.bias"),
    change("encoder.layer_norm.gamma"),
    change("decoder.embeddings.weight"),
    change("decoder.layer.2.attention.linear.1.weight"),
    change("decoder.layer.0.attention.layer_norm.beta"),
    change("decoder.projection.bias"),
    config(layer_norm_epsilon=0.1),
    config(add_source_eos=False),
    config(decoder_start_token="</s>"),
    not_a_number,
    other_order,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_model_that_is_not_the_run_is_not_published(first, tmp_path, monkeypatch, mistake):
    make_spec = model_spec.make_spec

    def wrong(translator):
        spec = make_spec(translator)
        mistake(spec)
        return spec

    monkeypatch.setattr(model_spec, "make_spec", wrong)
    message = r"other results than the run: log-probability of token \d+, '.*', for '.*': "
    with pytest.raises(UserError, match=message + r"expected -\d.*, came (-\d|nan)"):
        export_ctranslate2(first.run, tmp_path / "model", quantization="int8")
    assert os.listdir(tmp_path) == []


def test_rounding_that_goes_too_far_is_not_published(first, tmp_path, monkeypatch):
    optimize = model_spec.optimize

    def wrong(spec, quantization):
        optimize(spec, quantization)
        if quantization == "int8":
            spec.decoder.projection.weight_scale.array *= 0.3

    monkeypatch.setattr(model_spec, "optimize", wrong)
    message = "quantization: expected int8 to move log-probabilities by at most 0.3 in the mean, "
    with pytest.raises(UserError, match=message + r"came \d"):
        export_ctranslate2(first.run, tmp_path / "model", quantization="int8")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("search", verification.SEARCHES[:2])
def test_other_tokens_are_a_difference_unless_the_run_likes_them_as_much(
    first, monkeypatch, search
):
    found, beam_size = dict(first.expected.found), search[0]
    place = next(i for i, one in enumerate(found[search]) if one.tokens and one.finished)
    best, text = found[search][place], first.expected.texts[place]
    wrong = [*best.tokens[:-1], "A" if best.tokens[-1] != "A" else "B"]
    found[search] = list(found[search])
    found[search][place] = type(best)(**{**vars(best), "tokens": wrong})
    expected = first.expected._replace(found=found)
    tokens = f"expected {wrong[-1]!r}, came {best.tokens[-1]!r}"
    message = rf"other results .*: token {len(wrong)} by a beam of {beam_size} for '.*': {tokens}"
    with pytest.raises(UserError, match=message):
        verification.verify_model(expected, first.path, "float32")
    # Where CTranslate2 may stop too early, it may find less than the run, and nothing better.
    near, pair = verification._near, (best.tokens, wrong)
    assert near(expected, text, pair, search) == (beam_size > 1)
    assert not near(expected, text, pair[::-1], search)
    assert not near(expected, text, pair, (5, 0.0))
    monkeypatch.setattr(verification, "TIE", 100.0)
    verification.verify_model(expected, first.path, "float32")


@pytest.mark.parametrize("name", ["gelu", "silu", "tanh", "sigmoid"])
def test_activations_a_tied_head_two_norms_and_a_long_source(tmp_path, name):
    more = {"silu": MARIAN, "tanh": {"first_position": 1}}.get(name, {})
    model = make("pre", "post", "output", PAIR, 0.3, activation=name, **more)
    model.encoder.source_end = name != "sigmoid"
    spec = model_spec.make_spec(Translator(model, *PAIR))
    model_spec.optimize(spec, "float32")
    spec.save(str(tmp_path))
    source = np.random.default_rng(1).integers(4, 13, [1, 1300])  # beyond what it reads of itself
    x = {"ids": tf.constant(np.append(source, [[3]], 1), tf.int32)}
    x["mask"] = tf.ones_like(x["ids"], tf.bool)
    log_probs, _ = models.call_model(model, x, tf.constant([[2, 5, 4]]))
    names = [side.vocabulary for side in PAIR]
    engine = ctranslate2.Translator(str(tmp_path), intra_threads=1)
    texts = [[names[0][i] for i in source[0]]], [[names[1][i] for i in (5, 4)]]
    (given,) = engine.score_batch(*texts, max_input_length=0)
    expected = [log_probs[0, place, token] for place, token in enumerate((5, 4, 3))]
    np.testing.assert_allclose(given.log_probs, expected, atol=2e-5)


def test_a_piece_may_spell_like_a_special_token():
    pair = tokenizers.train(LETTERS, ["a </s> b"]), tokenizers.train(LETTERS, ["A <s> <<s>>"])
    spec = model_spec.make_spec(Translator(make("pre", "pre", "none", pair), *pair))
    special = ["<pad>", "<unk>", "<<<s>>>", "<</s>>"]
    for tokenizer, found in zip(pair, spec._vocabularies.values(), strict=True):
        assert found == [special + list(tokenizer.vocabulary[4:])]
    config = spec.config.to_dict()
    assert config["bos_token"] == config["decoder_start_token"] == "<<<s>>>"
    assert (config["eos_token"], config["unk_token"]) == ("<</s>>", "<unk>")


def test_two_epsilons_are_refused():
    model = make("pre", "pre", "none", PAIR)
    model.decoder.epsilon = 0.1
    with pytest.raises(UserError, match=r"model\.decoder\.epsilon: expected .* 1e-06, .* came 0.1"):
        model_spec.check_parts(model)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("gru", "pre", "softmax"), r"model\.encoder: expected TransformerEncoder, .*RecurrentEnc"),
        (("pre", "gru", "softmax"), r"model\.decoder: expected TransformerDecoder, .*RecurrentDec"),
        (("rotary", "pre", "softmax"), r"model\.encoder\.positions: expected one of .* 'rotary'"),
        (("pre", "pre", "pointer"), r"model\.head: expected SoftmaxHead, .* came PointerGenerator"),
    ],
)
def test_parts_that_it_cannot_run_are_named(parts, message):
    with pytest.raises(UserError, match=message):
        model_spec.check_parts(models.make(*parts))


def test_other_activations_and_ensembles_are_refused():
    model = make("pre", "pre", "none", PAIR, activation="elu")
    known = "gelu, relu, sigmoid, silu, tanh"
    message = rf"model\.encoder\.activation: expected one of {known}, which .* came 'elu'"
    with pytest.raises(UserError, match=message):
        model_spec.check_parts(model)
    with pytest.raises(UserError, match="model: expected one Transformer, came Ensemble"):
        model_spec.check_parts(Ensemble([model, model]))


def test_a_run_that_it_cannot_run_leaves_nothing(tmp_path):
    pair = PAIR[0], tokenizers.train(LETTERS, ["A B C D E F G"])
    Translator(models.make("gru", "gru", "softmax"), *pair).save(tmp_path / "run")
    with pytest.raises(UserError, match=r"model\.encoder: expected TransformerEncoder"):
        export_ctranslate2(tmp_path / "run", tmp_path / "new" / "model")
    assert os.listdir(tmp_path) == ["run"]


def test_arguments_that_do_not_do_are_named(tmp_path):
    for quantization in ("int4", "INT8", 8):
        with pytest.raises(UserError, match="quantization: expected one of int8, .*, came .?[iI8]"):
            export_ctranslate2(tmp_path / "run", tmp_path / "model", quantization=quantization)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (tmp_path, tmp_path / "link"):
        with pytest.raises(UserError, match="directory .*: expected a free name, came one that ex"):
            export_ctranslate2(tmp_path / "run", taken)
    with pytest.raises(UserError, match="run: expected a run directory"):
        export_ctranslate2(tmp_path / "run", tmp_path / "model", checkpoint="last")
    assert os.listdir(tmp_path) == ["link"]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ctranslate2: .* pip install 'keras-s2s\[ctranslate2\]'"):
        export_ctranslate2(tmp_path / "run", tmp_path / "model")


def test_what_cannot_be_written_is_named_and_nothing_stays(first, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, before[1]))
    try:
        with pytest.raises(UserError, match=r"^directory .*: cannot be written: File too large$"):
            export_ctranslate2(first.run, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="directory .*file/model: cannot be written: .*"):
        export_ctranslate2(first.run, tmp_path / "file" / "model")


def test_a_directory_that_appears_meanwhile_is_not_overwritten(first, tmp_path, monkeypatch):
    prove = verification.verify_model

    def slow(*arguments):
        prove(*arguments)
        (tmp_path / "model").mkdir()

    monkeypatch.setattr(verification, "prove", slow)
    with pytest.raises(UserError, match="directory .*: expected a free name"):
        export_ctranslate2(first.run, tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(tmp_path / "model") == []
