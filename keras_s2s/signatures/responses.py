"""Responses: the results of each signature as dataclasses, and their reading from arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_s2s.signatures.arrays import decode_text
from keras_s2s.signatures.fields import MISSING_SCORE

__all__ = [
    "Attention",
    "Forecast",
    "Hypothesis",
    "Score",
    "hard_alignment",
    "read_attention",
    "read_forecast",
    "read_hypotheses",
    "read_row",
    "read_rows",
    "read_score",
]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Hypothesis:
    """One target that a search or a draw returned.

    Attributes:
        text: the target.
        score: the value by which hypotheses are ranked: `log_prob` divided by the length penalty,
            less the penalties of other options.
        log_prob: sum of the tokens' log-probabilities in nats, the end's included.
        tokens: the T target tokens, without the end.
        source_tokens: the S source tokens, with the end mark.
        alignment: float array [T, S], attention of each target token over the source; None if
            it was not requested.
        finished: False where a limit such as `max_length` truncated the target.
        token_log_probs: log-probabilities of the tokens and of the end, T + 1 of them.
    """

    text: str
    score: float
    log_prob: float
    tokens: list[str]
    source_tokens: list[str]
    alignment: np.ndarray | None
    finished: bool
    token_log_probs: Sequence[float] = ()


@dataclass(frozen=True)
class Score:
    """Log-probabilities of a given target.

    Attributes:
        log_prob: sum of the tokens' log-probabilities in nats, the end's included.
        tokens, token_log_probs: the target's tokens and the end, and the log-probability of each.
        words, word_log_probs: its words and the end, and the sum of the tokens of each.
    """

    log_prob: float
    tokens: list[str]
    token_log_probs: list[float]
    words: list[str]
    word_log_probs: list[float]


@dataclass(frozen=True)
class Attention:
    """Attention maps of a source and its target.

    Attributes:
        source_tokens, tokens: S and T strings, with the end mark.
        attention: float array [A, T, S], and `names`, A strings.
        encoder_attention, decoder_attention: arrays [E, S, S] and [D, T, T] of a Transformer with
            `encoder_names` and `decoder_names`; None and empty for a model without such maps.
    """

    source_tokens: list[str]
    tokens: list[str]
    attention: np.ndarray
    names: list[str]
    encoder_attention: np.ndarray | None = None
    encoder_names: Sequence[str] = ()
    decoder_attention: np.ndarray | None = None
    decoder_names: Sequence[str] = ()


@dataclass(frozen=True)
class Forecast:
    """Predicted frames of a sequence of features.

    Attributes:
        values: float32 array [T, F].
        variances: float32 array [T, F] of a Gaussian, else None. Each is the variance of its own
            step given the previous frames, so uncertainty does not accumulate over the steps.
    """

    values: np.ndarray
    variances: np.ndarray | None = None


def hard_alignment(alignment: np.ndarray) -> list[tuple[int, int]]:
    """Returns the hard alignment of a hypothesis as (source, target) positions, in target order.

    Each target token is aligned to the source token with most attention; the end mark, the last
    of the S columns, is left out.

    Args:
        alignment: float array [T, S] of a `Hypothesis`.

    Example:

    >>> import numpy as np
    >>> from keras_s2s.signatures import hard_alignment
    >>> hard_alignment(np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1]]))
    [(1, 0), (0, 1)]
    """
    return [
        (int(weights[:-1].argmax()), position)
        for position, weights in enumerate(alignment)
        if len(weights) > 1
    ]


def read_rows(signature: str, rows: Sequence[Row]) -> tuple[list[Any], dict[int, str]]:
    """Reads rows of a signature's outputs.

    Args:
        signature: its name.
        rows: for each row its arrays by output name, without the batch axis; strings or UTF-8.

    Returns:
        The result of each row, and {row: message} of the rows with an error.
    """
    errors = {number: decode_text(row["error"]) for number, row in enumerate(rows) if row["error"]}
    return [read_row(signature, row) for row in rows], errors


def read_row(signature: str, row: Row) -> Any:
    """Reads one row of a signature's outputs; arguments as for `read_rows`."""
    return _READERS[signature](row)


def read_hypotheses(row: Row) -> list[Hypothesis]:
    """Reads the hypotheses of a row of `translate` or `sample`, best first."""
    source = _unpadded(row["source_tokens"])
    # A row with fewer hypotheses than its neighbours is padded.
    slots = np.flatnonzero(row["score"] > MISSING_SCORE / 2)
    return [_hypothesis(row, int(k), source) for k in slots]


def _hypothesis(row: Row, k: int, source: list[str]) -> Hypothesis:
    length = int(row["lengths"][k])
    alignment = row.get("alignment")
    return Hypothesis(
        text=decode_text(row["text"][k]),
        score=float(row["score"][k]),
        log_prob=float(row["log_prob"][k]),
        tokens=_texts(row["tokens"][k][:length]),
        source_tokens=list(source),
        alignment=None if alignment is None else alignment[k][:length, : len(source)],
        finished=bool(row["finished"][k]),
        token_log_probs=row["token_log_probs"][k][: length + 1].tolist(),
    )


def read_score(row: Row) -> Score:
    """Reads the `Score` of a row."""
    tokens, words = _unpadded(row["tokens"]), _unpadded(row["words"])
    return Score(
        log_prob=float(row["log_prob"]),
        tokens=tokens,
        token_log_probs=row["token_log_probs"][: len(tokens)].tolist(),
        words=words,
        word_log_probs=row["word_log_probs"][: len(words)].tolist(),
    )


def read_attention(row: Row) -> Attention:
    """Reads the `Attention` of a row."""
    source, tokens = _unpadded(row["source_tokens"]), _unpadded(row["tokens"])
    maps, names = _maps(row, "", len(tokens), len(source))
    encoder, encoder_names = _maps(row, "encoder_", len(source), len(source))
    decoder, decoder_names = _maps(row, "decoder_", len(tokens), len(tokens))
    return Attention(source, tokens, maps, names, encoder, encoder_names, decoder, decoder_names)


def _maps(row: Row, prefix: str, height: int, width: int) -> tuple[Any, list[str]]:
    """A row's maps and their names; None and [] of a kind that the model does not have."""
    maps, names = row.get(f"{prefix}attention"), row.get(f"{prefix}names")
    if maps is None or names is None:
        return None, []
    texts = _texts(names)
    is_real = np.array([bool(name) for name in texts], bool)  # maps without a name are padding
    return maps[is_real][:, :height, :width], [name for name in texts if name]


def read_forecast(row: Row) -> Forecast:
    """Reads the `Forecast` of a row, cut to the row's number of frames."""
    length, variances = int(row["lengths"]), row.get("variances")
    return Forecast(row["values"][:length], None if variances is None else variances[:length])


_READERS: dict[str, Callable[[Row], Any]] = {
    "translate": read_hypotheses,
    "sample": read_hypotheses,
    "score": read_score,
    "attention": read_attention,
    "forecast": read_forecast,
}


def _unpadded(strings: Sequence[Any]) -> list[str]:
    """Strings of a row without the padding at their end."""
    texts = _texts(strings)
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _texts(strings: Sequence[Any]) -> list[str]:
    return [decode_text(string) for string in strings]
