"""One row of a signature's outputs as Python values."""

from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.signatures.responses import Attention, Forecast, Hypothesis, Score

__all__ = ["attention", "forecasts", "hypotheses", "score", "split"]


def split(rows, read):
    """What `read` makes of each row, and {row: message} of those with an error."""
    problems = {
        number: row["error"].decode("utf-8", "replace")
        for number, row in enumerate(rows)
        if row["error"]
    }
    return [read(row) for row in rows], problems


def hypotheses(row):
    """The `Hypothesis` list of a row of `translate` or `sample`, best first."""
    source = _real(row["source_tokens"])
    found = []
    for k, score in enumerate(row["score"]):
        if score <= MISSING_SCORE / 2:
            continue
        length = row["lengths"][k]
        found.append(
            Hypothesis(
                text=_text(row["text"][k]),
                score=float(score),
                log_prob=float(row["log_prob"][k]),
                tokens=_texts(row["tokens"][k, :length]),
                source_tokens=source,
                alignment=row["alignment"][k, :length, : len(source)],
                finished=bool(row["finished"][k]),
                token_log_probs=row["token_log_probs"][k, : length + 1].tolist(),
            )
        )
    return found


def forecasts(row):
    """The `Forecast` of a row, cut to its own number of frames."""
    count = row["lengths"]
    variances = row["variances"][:count] if "variances" in row else None
    return Forecast(row["values"][:count], variances)


def score(row):
    """The `Score` of a row."""
    tokens, words = _real(row["tokens"]), _real(row["words"])
    return Score(
        log_prob=float(row["log_prob"]),
        tokens=tokens,
        token_log_probs=row["token_log_probs"][: len(tokens)].tolist(),
        words=words,
        word_log_probs=row["word_log_probs"][: len(words)].tolist(),
    )


def attention(row):
    """The `Attention` of a row."""
    source, tokens = _real(row["source_tokens"]), _real(row["tokens"])
    own = {}
    for kind, size in (("encoder", len(source)), ("decoder", len(tokens))):
        if f"{kind}_attention" in row:
            own[f"{kind}_attention"] = row[f"{kind}_attention"][:, :size, :size]
            own[f"{kind}_names"] = _texts(row[f"{kind}_names"])
    maps = row["attention"][:, : len(tokens), : len(source)]
    return Attention(source, tokens, maps, _texts(row["names"]), **own)


def _real(column):
    """Strings without the padding behind them."""
    found = _texts(column)
    while found and not found[-1]:
        found.pop()
    return found


def _texts(column):
    return [_text(piece) for piece in column]


def _text(piece):
    return piece.decode("utf-8", "replace")
