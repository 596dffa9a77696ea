"""What requests to a model are made of: its validation data, or else its own vocabulary."""

import itertools
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import read_pairs
from keras_s2s.errors import UserError
from keras_s2s.export.verification.feature_requests import random_features
from keras_s2s.export.verification.probe_requests import RequestCorpus
from keras_s2s.tokenizers import RESERVED_TOKENS, Features

__all__ = ["build_corpus", "load_validation_pairs"]

PAIRS = 4
CHARACTERS = 200
PIECES = 24  # of a vocabulary, from all of its parts


def load_validation_pairs(run) -> list[tuple[str, str]]:
    """Some (source, target) pairs of a run's validation data; none where they are gone.

    Raises:
        UserError: this is no run directory.
    """
    corpus = Config.from_run(first_run_directory(run)).data.valid
    if corpus is None:
        return []
    try:
        pairs = itertools.islice(read_pairs(corpus), PAIRS)
        return [(source[:CHARACTERS], target[:CHARACTERS]) for source, target in pairs]
    except UserError:
        return []


def first_run_directory(run) -> Path:
    """The run itself, or the first of those of an ensemble."""
    return Path(run[0] if isinstance(run, list | tuple) else run)


def build_corpus(translator, pairs=()) -> RequestCorpus:
    """What to ask a translator: the pairs, texts of its vocabularies, and tokens of targets."""
    sides = translator.source_tokenizer, translator.target_tokenizer
    texts, targets = (_texts(tokenizer) for tokenizer in sides)
    sources, references = zip(*pairs) if pairs else ((), ())
    if translator.has_feature_targets:
        return RequestCorpus((*sources, *texts), (), (), forecasts=True)
    tokens = _spread(translator.target_tokenizer)[:2] or ["a"]
    return RequestCorpus((*sources, *texts), (*references, *targets), tuple(tokens))


def _texts(tokenizer):
    """Two texts of pieces from all parts of the vocabulary; `a` for an empty one; or frames."""
    if isinstance(tokenizer, Features):
        return random_features(tokenizer.size)
    pieces = _spread(tokenizer)
    halves = [half for half in (pieces[0::2], pieces[1::2]) if half]
    return tuple(tokenizer.detokenize(tf.constant([half])).numpy()[0] for half in halves) or ("a",)


def _spread(tokenizer):
    own = tokenizer.vocabulary[len(RESERVED_TOKENS) :]
    step = max(1, len(own) // PIECES)
    return list(own[::step][:PIECES])
