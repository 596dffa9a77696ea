"""Reads the rows of a reply: hypotheses, scores, attention."""

import numpy as np

from keras_s2s.serving.errors import RowError, UnexpectedReply
from keras_s2s.signatures.fields import MISSING_SCORE, Signature
from keras_s2s.signatures.responses import Attention, Forecast, Hypothesis, Score

__all__ = ["read_rows"]

_KINDS = {"string": "O", "bool": "b", "int32": "iu", "float32": "f"}  # of arrays, by dtype


def read_rows(
    signature: Signature, outputs: dict[str, np.ndarray], count: int, omitted: tuple[str, ...] = ()
) -> list:
    """Reads the outputs of `translate`, `sample`, `score`, `attention` or `forecast`.

    Args:
        signature: the entry that answered.
        outputs: arrays by name, strings decoded, shaped as the signature says: `text [B, K]`,
            `tokens [B, K, T]`, ...
        count: how many texts were sent, B.
        left_out: names of outputs that were not asked for.

    Returns:
        For each text its hypotheses, best first, its `Score`, its `Attention` or its `Forecast`.

    Raises:
        RowError: if the model refused rows.
        UnexpectedReply: if an output is missing or has another type or shape.
    """
    _check(signature, outputs, count, omitted)
    read, refused = _READERS[signature.name]
    errors = {row: message for row, message in enumerate(outputs["error"]) if message}
    found = [refused() if row in errors else read(outputs, row) for row in range(count)]
    if errors:
        raise RowError(errors, found)
    return found


def _check(signature, outputs, count, omitted):
    """Holds the reply's types and shapes against the signature's letters."""
    sizes = {"B": count}
    for field in signature.outputs:
        if field.name in outputs:
            _check_type(signature, field, outputs[field.name])
            _check_shape(signature, field, outputs[field.name].shape, sizes)
            if "T" in sizes:
                sizes["U"] = sizes["T"] + 1
        elif not field.is_optional and field.name not in omitted:
            raise UnexpectedReply(f"the reply to {signature.name} lacks the output {field.name!r}")


def _check_type(signature, field, array):
    if array.dtype.kind not in _KINDS[field.dtype]:
        came = "string" if array.dtype == np.object_ else array.dtype.name
        raise UnexpectedReply(
            f"the output {field.name!r} of {signature.name} is {came}; expected {field.dtype}"
        )


def _check_shape(signature, field, shape, sizes):
    right = len(shape) == len(field.shape) and all(
        sizes.setdefault(letter, size) == size
        for letter, size in zip(field.shape, shape, strict=True)
    )
    if not right:
        expected = [sizes.get(letter, letter) for letter in field.shape]
        raise UnexpectedReply(
            f"the output {field.name!r} of {signature.name} has the shape {list(shape)};"
            f" expected {expected}"
        )


def _cut(strings):
    """A padded row of strings without the padding, which is at its end."""
    strings = strings.tolist()
    while strings and not strings[-1]:
        strings.pop()
    return strings


def _hypotheses(outputs, row):
    source = _cut(outputs["source_tokens"][row])
    # rows with fewer hypotheses than their neighbours are padded
    kept = np.flatnonzero(outputs["score"][row] > MISSING_SCORE / 2)
    return [_hypothesis(outputs, (row, k), source) for k in kept]


def _hypothesis(outputs, at, source):
    length = int(outputs["lengths"][at])
    alignment = outputs.get("alignment")
    return Hypothesis(
        text=outputs["text"][at],
        score=float(outputs["score"][at]),
        log_prob=float(outputs["log_prob"][at]),
        tokens=outputs["tokens"][at][:length].tolist(),
        source_tokens=list(source),
        alignment=None if alignment is None else alignment[at][:length, : len(source)],
        finished=bool(outputs["finished"][at]),
        token_log_probs=outputs["token_log_probs"][at][: length + 1].tolist(),
    )


def _score(outputs, row):
    tokens, words = _cut(outputs["tokens"][row]), _cut(outputs["words"][row])
    return Score(
        log_prob=float(outputs["log_prob"][row]),
        tokens=tokens,
        token_log_probs=outputs["token_log_probs"][row, : len(tokens)].tolist(),
        words=words,
        word_log_probs=outputs["word_log_probs"][row, : len(words)].tolist(),
    )


def _attention(outputs, row):
    source, tokens = _cut(outputs["source_tokens"][row]), _cut(outputs["tokens"][row])
    maps, names = _maps(outputs, "", row, len(tokens), len(source))
    encoder, encoder_names = _maps(outputs, "encoder_", row, len(source), len(source))
    decoder, decoder_names = _maps(outputs, "decoder_", row, len(tokens), len(tokens))
    return Attention(
        source_tokens=source,
        tokens=tokens,
        attention=maps,
        names=names,
        encoder_attention=encoder,
        encoder_names=encoder_names,
        decoder_attention=decoder,
        decoder_names=decoder_names,
    )


def _maps(outputs, kind, row, height, width):
    """A row's maps and their names; None and [] of a kind that the model does not have."""
    maps, names = outputs.get(f"{kind}attention"), outputs.get(f"{kind}names")
    if maps is None or names is None:
        return None, []
    real = names[row] != ""  # maps without a name are padding
    return maps[row][real][:, :height, :width], names[row][real].tolist()


def _forecast(outputs, row):
    count = int(outputs["lengths"][row])
    variances = outputs.get("variances")
    return Forecast(
        outputs["values"][row, :count], None if variances is None else variances[row, :count]
    )


_READERS = {  # what reads a row, and what makes the result of one that was refused
    "translate": (_hypotheses, list),
    "sample": (_hypotheses, list),
    "score": (_score, lambda: None),
    "attention": (_attention, lambda: None),
    "forecast": (_forecast, lambda: None),
}
