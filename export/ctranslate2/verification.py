"""Whether CTranslate2, run on a written model, gives what the run itself gives."""

from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.tokenizers import RESERVED_TOKENS
from keras_s2s.translator import END_MARK, Translator

__all__ = ["ExpectedResults", "compute_expected", "verify_model"]

PROBES = 16
LONGEST = 64  # target tokens of a probe
# Beam size and length penalty. CTranslate2 stops when so many have ended, the run when no live
# hypothesis is ahead: what the run then finds may rank higher, never lower. Without a penalty both
# stop at the best of all, if CTranslate2 is patient.
SEARCHES = ((1, 0.6), (5, 0.6), (5, 0.0))
PATIENCE = 20
OUTSIDER = " \ue000"  # a character that vocabularies lack: the unknown token is probed too
# The most that the log-probability of a token may differ in float32. Measured: 1.3e-5 on trained
# Transformers and on random ones of usual weights, 1.5e-4 on random ones of large weights.
EXACT = 5e-4
TIE = 1e-4  # by how much the run may prefer its own tokens to those of CTranslate2
# The most for rounded weights, in the mean over tokens. Measured, in this order, up to 0.0022,
# 0.012, 0.008 and 0.08; single tokens differed by up to 0.009, 0.058, 0.052 and 0.29.
ROUNDED = {"float16": 0.01, "bfloat16": 0.05, "int16": 0.05, "int8": 0.3}


class ExpectedResults(NamedTuple):
    """What a run gives for some probes.

    Attributes:
        translator: `Translator` under the default options, to score other hypotheses.
        texts: list of N strings.
        sources: their tokens, without the end.
        found: {(beam size, length penalty): list of N `Hypothesis`}.
        targets: list of 2 N lists of tokens: hypotheses, and tokens drawn from the vocabulary.
        scores: list of 2 N `Score`, of `targets` for `texts` twice over.
    """

    translator: Translator
    texts: list
    sources: list
    found: dict
    targets: list
    scores: list


def compute_expected(translator):
    """What a `Translator` gives for probes drawn from its vocabularies, as an `ExpectedResults`."""
    pair = translator.source_tokenizer, translator.target_tokenizer
    plain = Translator(translator.model, *pair)  # not under the options of the run
    random = np.random.default_rng(1)
    texts = [_text(pair[0], random, 1 + 2 * number) for number in range(PROBES)]
    options = {"length_offset": 0.0, "max_length": LONGEST}
    found = {}
    for size, penalty in SEARCHES:
        given = plain.decode(texts, beam_size=size, length_penalty=penalty, **options)
        found[size, penalty] = [best for best, *_ in given]
    pieces = np.array(pair[1].vocabulary[len(RESERVED_TOKENS) :], object)
    targets = [hypothesis.tokens for hypothesis in found[SEARCHES[1]]]
    targets += [random.choice(pieces, 1 + number).tolist() for number in range(PROBES)]
    sources = [hypothesis.source_tokens[:-1] for hypothesis in found[SEARCHES[0]]]
    scores = plain.score(texts * 2, target_tokens=targets)
    return ExpectedResults(plain, texts, sources, found, targets, scores)


def verify_model(expected, directory, quantization):
    """Compares a written model with the run.

    In float32 every log-probability has to be that of the run, and so do the tokens, found
    greedily and by a beam, but for those that rank lower than the run's own; rounded
    weights have to give log-probabilities near by.

    Args:
        expected: from `compute_expected`.
        directory: a CTranslate2 model.
        quantization: its type.

    Raises:
        UserError: with the first difference.
    """
    from ctranslate2 import Translator, get_supported_compute_types

    kind = quantization.partition("_")[0]
    runs = kind in get_supported_compute_types("cpu")
    engine = Translator(str(directory), compute_type=kind if runs else "float32", intra_threads=1)
    if kind in ROUNDED:
        _compare_mean(expected, engine, kind)
        return
    for row, text, ours, theirs in _scores(expected, engine):
        wrong = np.flatnonzero(~(row <= EXACT))  # a NaN too
        if wrong.size:
            place = wrong[0]
            what = f"log-probability of token {place + 1}, {ours.tokens[place]!r},"
            came = f"{theirs.log_probs[place]:.5f}"
            _refuse(what, text, f"{ours.token_log_probs[place]:.5f}", came)
    for search in SEARCHES:
        _compare_tokens(expected, engine, *search)


def _text(tokenizer, random, size):
    """A text of about so many tokens, mostly of those that stand first, the frequent ones."""
    pieces = tokenizer.vocabulary[len(RESERVED_TOKENS) :]
    drawn = ((len(pieces) + 1) ** random.random(size)).astype(int) - 1
    text = tokenizer.detokenize(tf.constant([[pieces[i] for i in drawn]]))
    return text.numpy()[0].decode("utf-8", "replace") + OUTSIDER


def _scores(expected, engine):
    """For each target: how far its log-probabilities are apart, the text, and both scores."""
    given = engine.score_batch(expected.sources * 2, expected.targets, max_input_length=0)
    for text, ours, theirs in zip(expected.texts * 2, expected.scores, given, strict=True):
        yield np.abs(np.subtract(theirs.log_probs, ours.token_log_probs)), text, ours, theirs


def _compare_mean(expected, engine, kind):
    mean = np.concatenate([row for row, *_ in _scores(expected, engine)]).mean()
    if not mean <= ROUNDED[kind]:
        most = f"expected {kind} to move log-probabilities by at most {ROUNDED[kind]}"
        raise UserError(f"quantization: {most} in the mean, came {mean:.3g}")


def _compare_tokens(expected, engine, beam_size, penalty):
    given = engine.translate_batch(
        expected.sources,
        beam_size=beam_size,
        length_penalty=penalty,
        min_decoding_length=0,
        max_decoding_length=LONGEST,
        max_input_length=0,
        patience=1 if penalty else PATIENCE,
    )
    found = expected.found[beam_size, penalty]
    for text, ours, theirs in zip(expected.texts, found, given, strict=True):
        pair = ours.tokens, theirs.hypotheses[0]
        # At the limit each of the two cuts hypotheses in its own way; a greedy one is just cut.
        cut = beam_size > 1 and max(map(len, pair)) >= LONGEST
        if pair[0] != pair[1] and not cut and not _near(expected, text, pair, (beam_size, penalty)):
            place, *tokens = _first_difference(*pair)
            what = f"token {place + 1} by a beam of {beam_size}"
            _refuse(what, text, *map(repr, tokens))


def _near(expected, text, pair, search):
    """Whether the run itself hardly prefers its own tokens to those of CTranslate2, or, where
    CTranslate2 may have stopped too early, whether it does not prefer CTranslate2's."""
    scores, (beam_size, penalty) = expected.translator.score([text] * 2, target_tokens=pair), search
    if beam_size > 1:
        ranks = [score.log_prob / len(score.tokens) ** penalty for score in scores]
    else:
        place, *_ = _first_difference(*pair)
        ranks = [score.token_log_probs[place] for score in scores]
    better = ranks[0] - ranks[1]
    return abs(better) <= TIE or (beam_size > 1 and penalty > 0 and better > 0)


def _first_difference(ours, theirs):
    """Where two lists of tokens part, and the token of each there."""
    rows = enumerate(zip_longest(ours, theirs, fillvalue=END_MARK))
    return next((place, *pair) for place, pair in rows if pair[0] != pair[1])


def _refuse(what, text, expected, came):
    raise UserError(
        f"CTranslate2 gives other results than the run: {what} for {text!r}:"
        f" expected {expected}, came {came}"
    )
