"""Requests to an edge translator as to a served model: arrays in, arrays out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_s2s.serving.edge.requests import split_items
from keras_s2s.signatures.arrays import decode_text, string_array
from keras_s2s.signatures.fields import (
    LIST_INPUTS,
    MISSING_SCORE,
    SCORE,
    SERVING_DEFAULT,
    TRANSLATE,
)
from keras_s2s.signatures.responses import Hypothesis, Score

__all__ = ["EDGE_SIGNATURES", "predict"]

EDGE_SIGNATURES = {signature.name: signature for signature in (SERVING_DEFAULT, TRANSLATE, SCORE)}
BATCH_SIZE = 4


def predict(
    translator: Any,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    timeout: float | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> dict[str, np.ndarray]:
    """Answers a request of `SERVING_DEFAULT`, `TRANSLATE` or `SCORE`.

    Args:
        translator: an `EdgeTranslator`.
        signature: its name.
        inputs: arrays [B] by name, strings as bytes; an option left out has its default.
        timeout: seconds after which it stops; None is no limit.
        is_cancelled: tells whether to stop before the next step; None is never.

    Returns:
        Arrays by name, shaped as `keras_s2s.signatures` says; strings as object arrays of bytes.

    Raises:
        ValueError: naming an unknown signature, or an input that is unknown or missing.
        TimeoutError: the time is over.
        concurrent.futures.CancelledError: `is_cancelled` returned True.
    """
    if signature not in EDGE_SIGNATURES:
        known = ", ".join(EDGE_SIGNATURES)
        raise ValueError(f"signature: expected one of {known}, got {signature!r}")
    names = EDGE_SIGNATURES[signature].input_names()
    if inputs.keys() - {*names} or "text" not in inputs:
        raise ValueError(f"inputs: expected text and some of {names}, got {sorted(inputs)}")
    columns = {name: np.asarray(value).tolist() for name, value in inputs.items()}
    texts = columns.pop("text")
    if signature == SCORE.name:
        return _score(translator, texts, columns, (timeout, is_cancelled))
    for name in LIST_INPUTS & columns.keys():
        columns[name] = [split_items(decode_text(row)) for row in columns[name]]
    limits = {"timeout": timeout, "is_cancelled": is_cancelled}
    rows, errors = translator.decode(
        texts, batch_size=BATCH_SIZE, errors="return", **limits, **columns
    )
    if signature == SERVING_DEFAULT.name:
        best = [row[0] if row else None for row in rows]
        scores = [hypothesis.score if hypothesis else MISSING_SCORE for hypothesis in best]
        strings = string_array(hypothesis.text if hypothesis else "" for hypothesis in best)
        return {"text": strings, "score": np.array(scores, np.float32)}
    default = [translator.defaults["num_hypotheses"]] * len(texts)
    widths = columns.get("num_hypotheses", default)
    width = max([1, *(count for row, count in enumerate(widths) if row not in errors)])
    return _hypotheses(translator, texts, rows, errors, width)


def _hypotheses(
    translator,
    texts: Sequence[bytes],
    rows: Sequence[Sequence[Hypothesis]],
    errors: Mapping[int, str],
    width: int,
) -> dict[str, np.ndarray]:
    """The outputs of `translate`."""
    batch, flat = len(texts), [(i, k, x) for i, row in enumerate(rows) for k, x in enumerate(row)]
    longest = max([0, *(len(hypothesis.tokens) for *_, hypothesis in flat)])
    sources = [translator.source_tokens(text) for text in texts]
    source_length = max([1, *map(len, sources)])
    outputs = {
        "text": np.full([batch, width], b"", np.object_),
        "score": np.full([batch, width], MISSING_SCORE, np.float32),
        "log_prob": np.full([batch, width], MISSING_SCORE, np.float32),
        "tokens": np.full([batch, width, longest], b"", np.object_),
        "token_log_probs": np.full([batch, width, longest + 1], MISSING_SCORE, np.float32),
        "lengths": np.zeros([batch, width], np.int32),
        "finished": np.zeros([batch, width], bool),
        "source_tokens": _padded(sources, source_length),
        "error": _error_column(errors, batch),
        "alignment": np.zeros([batch, width, longest, source_length], np.float32),
    }
    for i, k, hypothesis in flat:
        size, alignment = len(hypothesis.tokens), hypothesis.alignment
        outputs["text"][i, k] = hypothesis.text.encode()
        outputs["tokens"][i, k, :size] = string_array(hypothesis.tokens)
        outputs["token_log_probs"][i, k, : size + 1] = hypothesis.token_log_probs
        outputs["alignment"][i, k, :size, : alignment.shape[1]] = alignment
        outputs["lengths"][i, k] = size
        for name in ("score", "log_prob", "finished"):
            outputs[name][i, k] = getattr(hypothesis, name)
    return outputs


def _score(
    translator, texts: Sequence[bytes], columns: Mapping[str, Any], limits: tuple
) -> dict[str, np.ndarray]:
    """The outputs of `score`."""
    empty = [""] * len(texts)
    targets, tokens = columns.get("target", empty), columns.get("target_tokens", empty)
    scores, errors = translator.score_rows(texts, targets, tokens, *limits)
    return {
        "log_prob": np.array([score.log_prob for score in scores], np.float32),
        "error": _error_column(errors, len(texts)),
        **_units(scores, "tokens", "token_log_probs"),
        **_units(scores, "words", "word_log_probs"),
    }


def _units(scores: Sequence[Score], strings: str, log_probs: str) -> dict[str, np.ndarray]:
    """Tokens or words and their log-probabilities, padded to the longest row."""
    rows, numbers = ([getattr(score, name) for score in scores] for name in (strings, log_probs))
    width = max([1, *map(len, rows)])
    values = np.full([len(scores), width], MISSING_SCORE, np.float32)
    for number, row in enumerate(numbers):
        values[number, : len(row)] = row
    return {strings: _padded(rows, width), log_probs: values}


def _error_column(errors: Mapping[int, str], batch: int) -> np.ndarray:
    return string_array(errors.get(row, "") for row in range(batch))


def _padded(rows: Sequence[Sequence[str]], width: int) -> np.ndarray:
    """Rows of strings as an object array [B, width] of bytes."""
    padded = np.full([len(rows), width], b"", np.object_)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = string_array(row)
    return padded
