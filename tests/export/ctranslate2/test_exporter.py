"""Export to CTranslate2: results equal those of the run, or nothing is published."""

import importlib.util
import json
import os
import resource
import stat

import ctranslate2
import numpy as np
import pytest
from ctranslate2.specs.model_spec import ACCEPTED_MODEL_TYPES

from keras_s2s import tokenizers
from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import export_ctranslate2
from keras_s2s.export.ctranslate2 import model_spec, verification
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.ctranslate2.transformer_models import LETTERS, PAIR, make
from tests.references import skip_saturating_int8

TEXTS = ["a b c", "c", "i h g f e d c b a", "zz a"]
# Encoder's norm, decoder's norm, tie. Encoder and decoder differ in size where they may.
CASES = [
    ("pre", "pre", "none"),
    ("post", "post", "all"),
]  # others are tested below, without a search


class Case:
    """A run with its own decoding options, its expected results, and the published model."""

    def __init__(self, case, root):
        pair = PAIR if case[2] != "all" else PAIR[:1] * 2
        options = Decoding(beam_size=2, num_hypotheses=2, disallowed=["A", "a"], min_length=3)
        Translator(make(*case, pair), *pair, options).save(root / "run")
        self.run, self.compute_expected = root / "run", verification.compute_expected
        self.results = []
        self.load, self.loaded = Translator.load, None
        with pytest.MonkeyPatch.context() as patch:
            self.reuse_results(patch)
            self.path = export_ctranslate2(self.run, root / "new" / "model")
        self.expected, self.pair = self.results[0], pair
        self.translator = self.expected.translator
        self.engine = ctranslate2.Translator(str(self.path), intra_threads=1)

    def reuse_results(self, patch):
        """Lets further exports skip loading the run and tracing graphs."""

        def compute_expected(translator):
            self.results = self.results or [self.compute_expected(translator)]
            return self.results[0]

        def load(run, checkpoint):
            self.loaded = self.loaded or self.load(run, checkpoint)
            return self.loaded

        patch.setattr(verification, "compute_expected", compute_expected)
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
    """The first case, with the results of the run computed once."""
    case = cases(CASES[0])
    case.reuse_results(monkeypatch)
    return case


@pytest.mark.parametrize("beam_size", [1, 5])
def test_tokens_and_alignments_are_those_of_the_run(case, beam_size):
    # CTranslate2 stops when enough hypotheses have ended, the run when no live one can win.
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
        max_batch_size=1,  # in a batch CTranslate2 returns the first row's attention for all rows
    )
    compared = 0
    for (ours,), theirs in zip(found, given, strict=True):
        if beam_size > 1 and max(len(ours.tokens), len(theirs.hypotheses[0])) >= 40:
            continue  # cut at the limit, where the two beams differ
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


def test_verification_texts_cover_the_vocabularies(case):
    expected = case.expected
    used = {token for tokens in expected.sources for token in tokens}
    assert used >= set(case.pair[0].vocabulary[4:])
    assert not used <= set(case.pair[0].vocabulary)  # unknown tokens too
    used = {token for tokens in expected.targets for token in tokens}
    assert used >= set(case.pair[1].vocabulary[4:])
    for hypotheses in expected.hypotheses.values():
        assert any(hypothesis.finished for hypothesis in hypotheses)


def test_directory_is_complete(case):
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
def test_quantized_weights(first, tmp_path, quantization):
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
def test_model_that_differs_from_the_run_is_not_published(first, tmp_path, monkeypatch, mistake):
    make_spec = model_spec.make_spec

    def wrong(translator):
        spec = make_spec(translator)
        mistake(spec)
        return spec

    monkeypatch.setattr(model_spec, "make_spec", wrong)
    message = r"other results than the run: log-probability of token \d+, '.*', for '.*': "
    with pytest.raises(UserError, match=message + r"expected -\d.*, got (-\d|nan)"):
        export_ctranslate2(first.run, tmp_path / "model", quantization="int8")
    assert os.listdir(tmp_path) == []


def test_inaccurate_quantization_is_not_published(first, tmp_path, monkeypatch):
    optimize = model_spec.optimize

    def wrong(spec, quantization):
        optimize(spec, quantization)
        if quantization == "int8":
            spec.decoder.projection.weight_scale.array *= 0.3

    monkeypatch.setattr(model_spec, "optimize", wrong)
    message = "quantization: expected int8 to move log-probabilities by at most 0.3 in the mean, "
    with pytest.raises(UserError, match=message + r"got \d"):
        export_ctranslate2(first.run, tmp_path / "model", quantization="int8")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("search", verification.SEARCHES[:2])
def test_other_tokens_are_a_difference_unless_the_run_rates_them_equally(
    first, monkeypatch, search
):
    hypotheses, beam_size = dict(first.expected.hypotheses), search[0]
    row = next(i for i, x in enumerate(hypotheses[search]) if x.tokens and x.finished)
    best, text = hypotheses[search][row], first.expected.texts[row]
    wrong = [*best.tokens[:-1], "A" if best.tokens[-1] != "A" else "B"]
    hypotheses[search] = list(hypotheses[search])
    hypotheses[search][row] = type(best)(**{**vars(best), "tokens": wrong})
    expected = first.expected._replace(hypotheses=hypotheses)
    tokens = f"expected {wrong[-1]!r}, got {best.tokens[-1]!r}"
    message = rf"other results .*: token {len(wrong)} by a beam of {beam_size} for '.*': {tokens}"
    with pytest.raises(UserError, match=message):
        verification.verify_model(expected, first.path, "float32")
    # Where CTranslate2 may stop too early, its result may rank lower than the run's, not higher.
    is_acceptable, pair = verification._is_acceptable, (best.tokens, wrong)
    assert is_acceptable(expected, text, pair, search) == (beam_size > 1)
    assert not is_acceptable(expected, text, pair[::-1], search)
    assert not is_acceptable(expected, text, pair, (5, 0.0))
    monkeypatch.setattr(verification, "TIE", 100.0)
    verification.verify_model(expected, first.path, "float32")


def test_unsupported_run_leaves_nothing(tmp_path):
    pair = PAIR[0], tokenizers.train(LETTERS, ["A B C D E F G"])
    Translator(models.make("gru", "gru", "softmax"), *pair).save(tmp_path / "run")
    with pytest.raises(UserError, match=r"model\.encoder: expected TransformerEncoder"):
        export_ctranslate2(tmp_path / "run", tmp_path / "new" / "model")
    assert os.listdir(tmp_path) == ["run"]


def test_invalid_arguments_are_named(tmp_path):
    for quantization in ("int4", "INT8", 8):
        with pytest.raises(UserError, match="quantization: expected one of int8, .*, got .?[iI8]"):
            export_ctranslate2(tmp_path / "run", tmp_path / "model", quantization=quantization)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (tmp_path, tmp_path / "link"):
        with pytest.raises(UserError, match="directory .*: expected a free name, got one that ex"):
            export_ctranslate2(tmp_path / "run", taken)
    with pytest.raises(UserError, match="run: expected a run directory"):
        export_ctranslate2(tmp_path / "run", tmp_path / "model", checkpoint="last")
    assert os.listdir(tmp_path) == ["link"]


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ctranslate2: .* pip install 'keras-s2s\[ctranslate2\]'"):
        export_ctranslate2(tmp_path / "run", tmp_path / "model")


def test_full_disk_is_reported_and_leaves_nothing(first, tmp_path):
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


def test_directory_that_appears_during_the_export_is_not_overwritten(first, tmp_path, monkeypatch):
    verify_model = verification.verify_model

    def slow(*arguments):
        verify_model(*arguments)
        (tmp_path / "model").mkdir()

    monkeypatch.setattr(verification, "verify_model", slow)
    with pytest.raises(UserError, match="directory .*: expected a free name"):
        export_ctranslate2(first.run, tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(tmp_path / "model") == []
