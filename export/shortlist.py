"""Vocabulary shortlists: the target tokens that the searches of an export may emit."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import read_lines, read_side
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import RESERVED_TOKENS, Shortlist, Tokenizer, load_pair

__all__ = ["load_shortlist", "most_frequent_tokens"]

LINES_PER_BATCH = 1024


def load_shortlist(run: Path | str, shortlist: str) -> list[str]:
    """Reads or counts the tokens of a shortlist and checks them against a run's vocabulary.

    Args:
        run: run directory.
        shortlist: a number N, for the N most frequent tokens of the run's training data; or the
            path of a file with one token a line.

    Returns:
        The tokens.

    Raises:
        UserError: the file is missing, a line is not a token of the target's vocabulary, or there
            is no training data to count tokens in.
    """
    tokenizer = load_pair(Path(run) / "tokenizers")[1]
    if shortlist.isdecimal():
        return _count_training_tokens(run, tokenizer, int(shortlist))
    tokens = [line for line in read_lines(shortlist) if line]
    try:
        Shortlist(tokenizer, tokens)
    except ValueError as error:
        raise UserError(f"{shortlist}: {error}") from None
    return tokens


def _count_training_tokens(run: Path | str, tokenizer: Tokenizer, count: int) -> list[str]:
    if count < 1:
        raise UserError(f"shortlist: expected a file or at least 1 token, got {count}")
    corpora = Config.from_run(run).data.train
    if corpora is None:
        reason = f"{run} names no training data to count tokens in"
        raise UserError(f"shortlist: expected a file because {reason}, got {count}")
    try:
        return most_frequent_tokens(read_side(corpora, "target"), tokenizer, count)
    except UserError as error:
        reason = f"the training data of {run} cannot be read: {error}"
        raise UserError(f"shortlist: expected a file because {reason}; got {count}") from None


def most_frequent_tokens(lines: Iterable[str], tokenizer: Tokenizer, count: int) -> list[str]:
    """Counts tokens in lines of text.

    Args:
        lines: the text.
        tokenizer: the tokenizer that splits them.
        count: how many tokens to return; fewer if fewer occur. Special tokens are not counted.

    Returns:
        The most frequent tokens, in descending order of frequency.

    Raises:
        UserError: no token of the vocabulary occurs.
    """
    lines, counts = iter(lines), np.zeros(tokenizer.size, np.int64)
    while batch := list(itertools.islice(lines, LINES_PER_BATCH)):
        ids = tokenizer.ids(tokenizer.tokenize(tf.constant(batch))).values
        counts += np.bincount(ids, minlength=tokenizer.size)
    counts[: len(RESERVED_TOKENS)] = 0
    if not counts.any():
        raise UserError("no token of the vocabulary occurs in it")
    order = np.argsort(-counts, kind="stable")[:count]
    return [tokenizer.vocabulary[index] for index in order if counts[index]]
