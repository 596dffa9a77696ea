"""Verification of a CTranslate2 model against the run that it was exported from."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.tokenizers import RESERVED_TOKENS, Tokenizer
from keras_s2s.translator import END_MARK, Translator

__all__ = ["ExpectedResults", "compute_expected", "verify_model"]

NUM_TEXTS = 16
MAX_LENGTH = 64  # target tokens
# Beam size and length penalty. CTranslate2 stops when as many hypotheses as the beam size have
# ended, the run when no live hypothesis is ahead: the run's result may rank higher, never lower.
# Without a penalty both stop at the best of all, if the patience of CTranslate2 is high.
SEARCHES = ((1, 0.6), (5, 0.6), (5, 0.0))
PATIENCE = 20
UNKNOWN_TEXT = " \ue000"  # a character that vocabularies lack, to test the unknown token
# The largest difference of a token's log-probability in float32. Measured: 1.3e-5 on trained
# Transformers and on random ones of usual weights, 1.5e-4 on random ones of large weights.
FLOAT32_TOLERANCE = 5e-4
TIE = 1e-4  # by how much the run may prefer its own tokens to those of CTranslate2
# The largest mean difference over tokens for other types. Measured, in this order, up to 0.0022,
# 0.012, 0.008 and 0.08; single tokens differed by up to 0.009, 0.058, 0.052 and 0.29.
MEAN_TOLERANCES = {"float16": 0.01, "bfloat16": 0.05, "int16": 0.05, "int8": 0.3}


class ExpectedResults(NamedTuple):
    """Results of a run for texts of its vocabularies.

    Attributes:
        translator: `Translator` with the default options, for scoring other hypotheses.
        texts: list of N strings.
        sources: their tokens, without the end token.
        hypotheses: {(beam size, length penalty): list of N `Hypothesis`}.
        targets: list of 2 N lists of tokens: the hypotheses of one search, and random tokens.
        scores: list of 2 N `Score`, of `targets` given `texts` twice.
    """

    translator: Translator
    texts: list
    sources: list
    hypotheses: dict
    targets: list
    scores: list


def compute_expected(translator: Translator) -> ExpectedResults:
    """Computes a run's results for random texts of its vocabularies.

    Args:
        translator: the run's translator; its default options are not used.
    """
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    plain = Translator(translator.model, *tokenizers)
    random = np.random.default_rng(1)
    texts = [_random_text(tokenizers[0], random, 1 + 2 * index) for index in range(NUM_TEXTS)]
    options = {"length_offset": 0.0, "max_length": MAX_LENGTH}
    hypotheses = {}
    for beam_size, penalty in SEARCHES:
        rows = plain.decode(texts, beam_size=beam_size, length_penalty=penalty, **options)
        hypotheses[beam_size, penalty] = [best for best, *_ in rows]
    tokens = np.array(tokenizers[1].vocabulary[len(RESERVED_TOKENS) :], object)
    targets = [hypothesis.tokens for hypothesis in hypotheses[SEARCHES[1]]]
    targets += [random.choice(tokens, 1 + index).tolist() for index in range(NUM_TEXTS)]
    sources = [hypothesis.source_tokens[:-1] for hypothesis in hypotheses[SEARCHES[0]]]
    scores = plain.score(texts * 2, target_tokens=targets)
    return ExpectedResults(plain, texts, sources, hypotheses, targets, scores)


def verify_model(expected: ExpectedResults, directory: Path | str, quantization: str) -> None:
    """Compares a CTranslate2 model with the run.

    In float32 every log-probability has to be equal, and so have the tokens of greedy and beam
    search, except for hypotheses that rank lower than the run's. With quantized weights the mean
    difference of log-probabilities is limited.

    Args:
        expected: results of the run.
        directory: the CTranslate2 model.
        quantization: type of its weights.

    Raises:
        UserError: with the first difference.
    """
    from ctranslate2 import Translator, get_supported_compute_types

    kind = quantization.partition("_")[0]
    is_supported = kind in get_supported_compute_types("cpu")
    compute_type = kind if is_supported else "float32"
    engine = Translator(str(directory), compute_type=compute_type, intra_threads=1)
    if kind in MEAN_TOLERANCES:
        _compare_mean(expected, engine, kind)
        return
    for differences, text, reference, result in _compare_scores(expected, engine):
        wrong = np.flatnonzero(~(differences <= FLOAT32_TOLERANCE))  # NaN is wrong too
        if wrong.size:
            index = wrong[0]
            what = f"log-probability of token {index + 1}, {reference.tokens[index]!r},"
            log_probs = reference.token_log_probs[index], result.log_probs[index]
            _refuse(what, text, *(f"{value:.5f}" for value in log_probs))
    for search in SEARCHES:
        _compare_tokens(expected, engine, *search)


def _random_text(tokenizer: Tokenizer, random: np.random.Generator, size: int) -> str:
    """A text of about `size` tokens, mostly from the start of the vocabulary, the frequent ones."""
    tokens = tokenizer.vocabulary[len(RESERVED_TOKENS) :]
    indices = ((len(tokens) + 1) ** random.random(size)).astype(int) - 1
    text = tokenizer.detokenize(tf.constant([[tokens[i] for i in indices]]))
    return text.numpy()[0].decode("utf-8", "replace") + UNKNOWN_TEXT


def _compare_scores(expected: ExpectedResults, engine: Any) -> Iterator[tuple]:
    """(differences of log-probabilities, text, the run's score, CTranslate2's) of each target."""
    results = engine.score_batch(expected.sources * 2, expected.targets, max_input_length=0)
    rows = zip(expected.texts * 2, expected.scores, results, strict=True)
    for text, reference, result in rows:
        differences = np.abs(np.subtract(result.log_probs, reference.token_log_probs))
        yield differences, text, reference, result


def _compare_mean(expected, engine, kind):
    differences = [differences for differences, *_ in _compare_scores(expected, engine)]
    mean, limit = np.concatenate(differences).mean(), MEAN_TOLERANCES[kind]
    if not mean <= limit:
        limit = f"expected {kind} to move log-probabilities by at most {limit}"
        raise UserError(f"quantization: {limit} in the mean, got {mean:.3g}")


def _compare_tokens(expected, engine, beam_size, penalty):
    results = engine.translate_batch(
        expected.sources,
        beam_size=beam_size,
        length_penalty=penalty,
        min_decoding_length=0,
        max_decoding_length=MAX_LENGTH,
        max_input_length=0,
        patience=1 if penalty else PATIENCE,
    )
    hypotheses = expected.hypotheses[beam_size, penalty]
    for text, hypothesis, result in zip(expected.texts, hypotheses, results, strict=True):
        pair = hypothesis.tokens, result.hypotheses[0]
        # At the limit the two beams end in different ways; greedy search is just cut.
        is_cut = beam_size > 1 and max(map(len, pair)) >= MAX_LENGTH
        if pair[0] == pair[1] or is_cut:
            continue
        if not _is_acceptable(expected, text, pair, (beam_size, penalty)):
            index, *tokens = _first_difference(*pair)
            what = f"token {index + 1} by a beam of {beam_size}"
            _refuse(what, text, *map(repr, tokens))


def _is_acceptable(
    expected: ExpectedResults,
    text: str,
    pair: tuple[Sequence[str], Sequence[str]],
    search: tuple[int, float],
) -> bool:
    """Whether CTranslate2's tokens are as good as the run's.

    The run may rate both nearly the same. Where CTranslate2 may have stopped too early, its tokens
    may also rank lower.

    Args:
        expected: results of the run.
        text: the source.
        pair: the tokens of the run, and of CTranslate2.
        search: beam size and length penalty.
    """
    scores, (beam_size, penalty) = expected.translator.score([text] * 2, target_tokens=pair), search
    if beam_size > 1:
        ranks = [score.log_prob / len(score.tokens) ** penalty for score in scores]
    else:
        index, *_ = _first_difference(*pair)
        ranks = [score.token_log_probs[index] for score in scores]
    advantage = ranks[0] - ranks[1]
    return abs(advantage) <= TIE or (beam_size > 1 and penalty > 0 and advantage > 0)


def _first_difference(first: Sequence[str], second: Sequence[str]) -> tuple[int, str, str]:
    """Index of the first difference of two lists of tokens, and both tokens there."""
    rows = enumerate(zip_longest(first, second, fillvalue=END_MARK))
    return next((index, *pair) for index, pair in rows if pair[0] != pair[1])


def _refuse(what: str, text: str, expected: str, actual: str) -> None:
    raise UserError(
        f"CTranslate2 gives other results than the run: {what} for {text!r}:"
        f" expected {expected}, got {actual}"
    )
