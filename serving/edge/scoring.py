"""Log-probabilities of given targets by a LiteRT file."""

from collections.abc import Sequence

import numpy as np

from keras_s2s.serving.edge.edge_file import EdgeFile, EdgeFileWithDeadline
from keras_s2s.serving.edge.requests import RequestSource, split_items, target_error
from keras_s2s.serving.edge.text_processor import END_TOKEN, TextProcessor
from keras_s2s.signatures.arrays import decode_text
from keras_s2s.signatures.fields import MISSING_SCORE, SCORE
from keras_s2s.signatures.responses import Score

__all__ = ["score_row"]


def score_row(
    file: EdgeFile | EdgeFileWithDeadline,
    processor: TextProcessor,
    text: str | bytes,
    target: str | bytes,
    target_lines: str | bytes,
) -> tuple[Score, str]:
    """Scores a target given as a text or as tokens, one on each line.

    Args:
        file: the file.
        processor: its text processing.
        text: the source.
        target: the target as a text, or empty.
        target_lines: the target as tokens, or empty.

    Returns:
        The score and "", or an empty score and an error message.
    """
    source = processor.read_source(text)
    tokens = processor.target.tokenize(target)
    target, target_lines = decode_text(target), decode_text(target_lines)
    tokens = [*tokens, *split_items(target_lines)]
    problem = source.error or target_error(target, target_lines, tokens, processor.caps)
    if problem:
        return Score(MISSING_SCORE, [], [], [], []), problem
    return _score_tokens(file, processor, source, tokens), ""


def _score_tokens(
    file: EdgeFile | EdgeFileWithDeadline,
    processor: TextProcessor,
    source: RequestSource,
    tokens: list[str],
) -> Score:
    ids = processor.target_ids(source, tokens)
    outputs = file.run(
        SCORE.name,
        ids=np.array([source.ids], np.int32),
        copy_ids=np.array([source.copy_ids], np.int32),
        lengths=np.array([len(source.ids)], np.int32),
        targets=np.array([ids or [0]], np.int32),
        target_lengths=np.array([len(ids)], np.int32),
    )
    token_log_probs = outputs["token_log_probs"][0, : len(ids) + 1].tolist()
    words, word_log_probs = _sum_words(processor, tokens, token_log_probs)
    return Score(
        log_prob=float(outputs["log_prob"][0]),
        tokens=[*tokens, END_TOKEN],
        token_log_probs=token_log_probs,
        words=[*words, END_TOKEN],
        word_log_probs=[*word_log_probs, token_log_probs[-1]],
    )


def _sum_words(
    processor: TextProcessor, tokens: Sequence[str], log_probs: Sequence[float]
) -> tuple[list[str], list[float]]:
    """Joins tokens to words and sums the log-probabilities of each word."""
    words: list[list[str]] = []
    sums: list[float] = []
    for token, log_prob in zip(tokens, log_probs):
        if words and not processor.target.is_word_start(token):
            words[-1].append(token)
            sums[-1] += log_prob
        else:
            words.append([token])
            sums.append(log_prob)
    return [processor.target.detokenize(word) for word in words], sums
