"""Texts for probe requests, from a run's validation data and its vocabularies."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import read_pairs
from keras_s2s.errors import UserError
from keras_s2s.export.verification.feature_requests import random_features
from keras_s2s.export.verification.probe_requests import RequestCorpus
from keras_s2s.tokenizers import RESERVED_TOKENS, Features, Tokenizer
from keras_s2s.translator import Translator

__all__ = ["build_corpus", "first_run_directory", "load_validation_pairs"]

MAX_PAIRS = 4
MAX_CHARACTERS = 200
MAX_TOKENS = 24  # of a vocabulary, evenly spaced


def load_validation_pairs(run: Path | str | Sequence) -> list[tuple[str, str]]:
    """Loads a few (source, target) pairs of a run's validation data.

    Args:
        run: run directory, or the list of an ensemble.

    Returns:
        The pairs, cut to 200 characters; an empty list if the data is not available.

    Raises:
        UserError: `run` is not a run directory.
    """
    corpus = Config.from_run(first_run_directory(run)).data.valid
    if corpus is None:
        return []
    try:
        pairs = itertools.islice(read_pairs(corpus), MAX_PAIRS)
        return [(source[:MAX_CHARACTERS], target[:MAX_CHARACTERS]) for source, target in pairs]
    except UserError:
        return []


def first_run_directory(run: Path | str | Sequence) -> Path:
    """The run directory itself, or the first one of an ensemble."""
    return Path(run[0] if isinstance(run, list | tuple) else run)


def build_corpus(translator: Translator, pairs: Sequence[tuple[str, str]] = ()) -> RequestCorpus:
    """Builds the request corpus of a translator.

    Args:
        translator: a `Translator` or a `Forecaster`.
        pairs: (source, target) texts.

    Returns:
        The pairs, texts made of both vocabularies, and two tokens of the target's vocabulary.
    """
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    texts, targets = (_sample_texts(tokenizer) for tokenizer in tokenizers)
    sources, references = zip(*pairs) if pairs else ((), ())
    if translator.has_feature_targets:
        return RequestCorpus((*sources, *texts), (), (), forecasts=True)
    tokens = _sample_tokens(translator.target_tokenizer)[:2] or ["a"]
    return RequestCorpus((*sources, *texts), (*references, *targets), tuple(tokens))


def _sample_texts(tokenizer: Tokenizer | Features) -> tuple:
    """Two texts of tokens from all parts of the vocabulary, or random features.

    The text of an empty vocabulary is `a`.
    """
    if isinstance(tokenizer, Features):
        return random_features(tokenizer.size)
    tokens = _sample_tokens(tokenizer)
    halves = [half for half in (tokens[0::2], tokens[1::2]) if half]
    return tuple(tokenizer.detokenize(tf.constant([half])).numpy()[0] for half in halves) or ("a",)


def _sample_tokens(tokenizer: Tokenizer) -> list[str]:
    tokens = tokenizer.vocabulary[len(RESERVED_TOKENS) :]
    step = max(1, len(tokens) // MAX_TOKENS)
    return list(tokens[::step][:MAX_TOKENS])
