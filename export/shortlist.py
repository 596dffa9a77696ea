"""The target tokens that an export's searches may give: those of a file, or the most frequent."""

import itertools
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.config import Config
from keras_s2s.data import read_lines, read_side
from keras_s2s.errors import UserError
from keras_s2s.tokenizers import RESERVED_TOKENS, Shortlist, load_pair

__all__ = ["load_shortlist", "most_frequent_tokens"]

BLOCK = 1024  # lines that are cut at once


def load_shortlist(run, given: str) -> list[str]:
    """The tokens that `given` names, checked against the target's vocabulary of a run.

    Args:
        run: run directory.
        given: a number, for so many tokens, the most frequent ones of the run's training data; or
            else a file with one token a line.

    Raises:
        UserError: no such file, a line that is no token, or no training data to count in.
    """
    target = load_pair(Path(run) / "tokenizers")[1]
    if given.isdecimal():
        return _counted(run, target, int(given))
    tokens = [line for line in read_lines(given) if line]
    try:
        Shortlist(target, tokens)
    except ValueError as error:
        raise UserError(f"{given}: {error}") from None
    return tokens


def _counted(run, target, count):
    if count < 1:
        raise UserError(f"shortlist: expected a file or at least 1 token, came {count}")
    corpora = Config.from_run(run).data.train
    if corpora is None:
        expected = f"expected a file, for {run} names no training data to count tokens in"
        raise UserError(f"shortlist: {expected}; came {count}")
    try:
        return most_frequent_tokens(read_side(corpora, "target"), target, count)
    except UserError as error:
        why = f"the training data of {run} cannot be read: {error}"
        raise UserError(f"shortlist: expected a file, for {why}; came {count}") from None


def most_frequent_tokens(lines, tokenizer, count: int) -> list[str]:
    """The tokens that occur most often in lines of text.

    Args:
        lines: iterable of strings.
        tokenizer: cuts them.
        count: how many; fewer when fewer occur. Special ones are not counted.

    Raises:
        UserError: no token of the vocabulary occurs.
    """
    lines, seen = iter(lines), np.zeros(tokenizer.size, np.int64)
    while block := list(itertools.islice(lines, BLOCK)):
        ids = tokenizer.ids(tokenizer.tokenize(tf.constant(block))).values
        seen += np.bincount(ids, minlength=tokenizer.size)
    seen[: len(RESERVED_TOKENS)] = 0
    order = np.argsort(-seen, kind="stable")[:count]
    if not seen.any():
        raise UserError("no token of the vocabulary occurs in it")
    return [tokenizer.vocabulary[number] for number in order if seen[number]]
