"""An edge translator asked as a served model is: arrays in, arrays out."""

import numpy as np

from keras_s2s.signatures.fields import (
    LIST_INPUTS,
    MISSING_SCORE,
    SCORE,
    SERVING_DEFAULT,
    TRANSLATE,
)

__all__ = ["EDGE_SIGNATURES", "predict"]

EDGE_SIGNATURES = {one.name: one for one in (SERVING_DEFAULT, TRANSLATE, SCORE)}
BATCH = 4


def predict(translator, signature, inputs, timeout=None) -> dict:
    """Answers a request of `SERVING_DEFAULT`, `TRANSLATE` or `SCORE`.

    Args:
        translator: an `EdgeTranslator`.
        signature: its name.
        inputs: arrays [B] by name, strings as bytes; an option left out has its default.
        timeout: seconds, after which it stops; None is no limit.

    Returns:
        Arrays by name, shaped as `keras_s2s.signatures` says; strings as object arrays of bytes.

    Raises:
        ValueError: naming a signature or an input that there is not, or one that is missing.
        TimeoutError: the time is over.
    """
    if signature not in EDGE_SIGNATURES:
        raise ValueError(
            f"signature: expected one of {', '.join(EDGE_SIGNATURES)}, came {signature!r}"
        )
    known = EDGE_SIGNATURES[signature].input_names()
    wrong = sorted(inputs.keys() - {*known})
    if wrong or "text" not in inputs:
        raise ValueError(f"inputs: expected text and some of {known}, came {sorted(inputs)}")
    given = {name: _column(value) for name, value in inputs.items()}
    texts = given.pop("text")
    if signature == SCORE.name:
        return _score(translator, texts, given, timeout)
    for name in LIST_INPUTS & given.keys():
        given[name] = [[item for item in _lines(one) if item] for one in given[name]]
    found, problems = translator.decode(
        texts, batch_size=BATCH, errors="return", timeout=timeout, **given
    )
    if signature == SERVING_DEFAULT.name:
        best = [row[0] if row else None for row in found]
        text = [one.text if one else "" for one in best]
        score = [one.score if one else MISSING_SCORE for one in best]
        return {"text": _strings(text), "score": np.array(score, np.float32)}
    wanted = given.get("num_hypotheses", [translator.defaults["num_hypotheses"]] * len(texts))
    wanted = [count for i, count in enumerate(wanted) if i not in problems]
    return _found(translator, texts, found, problems, max([1, *wanted]))


def _found(translator, texts, found, problems, width):
    rows, flat = (
        len(texts),
        [(i, k, one) for i, row in enumerate(found) for k, one in enumerate(row)],
    )
    longest = max([0, *(len(one.tokens) for *_, one in flat)])
    sources = [translator.source_tokens(text) for text in texts]
    seen = max([1, *map(len, sources)])
    made = {
        "text": np.full([rows, width], b"", np.object_),
        "score": np.full([rows, width], MISSING_SCORE, np.float32),
        "log_prob": np.full([rows, width], MISSING_SCORE, np.float32),
        "tokens": np.full([rows, width, longest], b"", np.object_),
        "token_log_probs": np.full([rows, width, longest + 1], MISSING_SCORE, np.float32),
        "lengths": np.zeros([rows, width], np.int32),
        "finished": np.zeros([rows, width], bool),
        "source_tokens": _padded(sources, seen),
        "error": _strings([problems.get(i, "") for i in range(rows)]),
        "alignment": np.zeros([rows, width, longest, seen], np.float32),
    }
    for i, k, one in flat:
        size = len(one.tokens)
        made["text"][i, k] = one.text.encode()
        made["tokens"][i, k, :size] = _strings(one.tokens)
        made["token_log_probs"][i, k, : size + 1] = one.token_log_probs
        made["alignment"][i, k, :size, : one.alignment.shape[1]] = one.alignment
        made["lengths"][i, k] = size
        for name in ("score", "log_prob", "finished"):
            made[name][i, k] = getattr(one, name)
    return made


def _score(translator, texts, given, timeout):
    blank = [""] * len(texts)
    targets, tokens = given.get("target", blank), given.get("target_tokens", blank)
    found, problems = translator.score_rows(texts, targets, tokens, timeout)
    widths = {
        name: max([1, *(len(getattr(one, name)) for one in found)]) for name in ("tokens", "words")
    }
    made = {
        "log_prob": np.array([one.log_prob for one in found], np.float32),
        "error": _strings([problems.get(i, "") for i in range(len(texts))]),
    }
    for name, values in (("tokens", "token_log_probs"), ("words", "word_log_probs")):
        made[name] = _padded([getattr(one, name) for one in found], widths[name])
        made[values] = np.full([len(texts), widths[name]], MISSING_SCORE, np.float32)
        for i, one in enumerate(found):
            made[values][i, : len(getattr(one, values))] = getattr(one, values)
    return made


def _column(value):
    """A vector as a list of what Python callers pass."""
    return np.asarray(value).tolist()


def _lines(value):
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).split("\n")


def _strings(texts):
    column = np.empty(len(texts), np.object_)
    column[:] = [text.encode() for text in texts]
    return column


def _padded(rows, width):
    made = np.full([len(rows), width], b"", np.object_)
    for i, row in enumerate(rows):
        made[i, : len(row)] = _strings(row)
    return made
