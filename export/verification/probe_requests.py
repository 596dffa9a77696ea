"""Verification requests: every signature, unusual texts, options mixed in one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_s2s.export.verification.feature_requests import malformed_features
from keras_s2s.signatures.arrays import decode_text, string_array
from keras_s2s.signatures.fields import FORECAST, signature_fields
from keras_s2s.signatures.option_groups import signature_options
from keras_s2s.signatures.options import OPTIONS
from keras_s2s.signatures.requests import pad_features

__all__ = ["ProbeRequest", "RequestCorpus", "build_probe_requests", "build_request"]

UNUSUAL = (
    "",
    "a",
    " \t b ",
    b"\xff\xfeab\xc3",
    "\N{GRINNING FACE} a\N{WAVING HAND SIGN}\U0001f3fd",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "a\0b\nc",
)
LONG = ("a " * 1100, "ab " * 22000)  # beyond the tokens and the bytes that a text may have
MAX_LENGTH = 12  # tokens of a target: enough to show every option

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ProbeRequest:
    """One request.

    Attributes:
        signature: its name.
        inputs: arrays [B] by name (features: [B, S, F]), strings as object arrays of bytes.
        outputs: names of the requested outputs; None is all.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: tuple[str, ...] | None = None

    @property
    def rows(self) -> int:
        """The number of rows, B."""
        return len(next(iter(self.inputs.values())))

    def source(self) -> dict[str, np.ndarray]:
        """Returns the inputs that are its sources."""
        return {n: x for n, x in self.inputs.items() if n in ("text", "features", "length")}

    def describe(self, row: int) -> str:
        """Returns the inputs of a row that differ from their defaults in the signature."""
        if not self.rows:
            return "an empty batch"
        fields, _ = signature_fields(self.signature)
        values = {name: _readable(column[row]) for name, column in self.inputs.items()}
        return ", ".join(
            f"{name} {value!r}" for name, value in values.items() if value != fields[name].default
        )


@dataclass(frozen=True)
class RequestCorpus:
    """Texts with their targets, and tokens of targets, from which requests are built.

    Attributes:
        texts: source texts, or arrays [S, F] for a source of features.
        targets: target texts.
        tokens: tokens of targets.
        forecasts: whether targets are features, of which there are none here.
    """

    texts: tuple
    targets: tuple
    tokens: tuple = ("a", "b")
    forecasts: bool = False

    @property
    def has_features(self) -> bool:
        """Whether sources are features."""
        return isinstance(self.texts[0], np.ndarray)


def build_request(
    signature: str,
    texts: Sequence[Any],
    rows: Sequence[Row] = ({},),
    outputs: tuple[str, ...] | None = None,
) -> ProbeRequest:
    """Builds a request.

    Args:
        signature: its name.
        texts: B texts, or arrays [S, F].
        rows: options of single rows, repeated for all texts.
        outputs: names of the requested outputs; None is all.
    """
    fields, _ = signature_fields(signature)
    rows = [rows[i % len(rows)] for i in range(len(texts))]
    if len(texts) and isinstance(texts[0], np.ndarray):
        inputs = pad_features(texts)
    else:
        inputs = {"text": string_array(texts)}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = [row.get(name, fields[name].default) for row in rows]
        dtype = fields[name].dtype
        inputs[name] = string_array(column) if dtype == "string" else np.array(column, dtype)
    return ProbeRequest(signature, inputs, outputs)


def build_probe_requests(corpus: RequestCorpus) -> list[ProbeRequest]:
    """Builds the requests of a verification: all signatures, texts, options, rows with errors.

    `attention` gets no over-long text: its maps grow with the square of the length.
    """
    if corpus.has_features:
        return _feature_requests(corpus)
    texts = [*corpus.texts, *UNUSUAL]
    if corpus.forecasts:
        return [build_request("serving_default", texts), *_forecast_requests(texts)]
    searches, samples, targets = _search_rows(corpus), _sample_rows(corpus), _target_rows(corpus)
    over_long = [texts[0], *LONG]
    return [
        build_request("serving_default", texts),
        build_request("serving_default", over_long),
        build_request("serving_default", []),
        build_request("translate", texts[:2]),
        build_request("translate", _repeat(texts, searches), searches),
        build_request("translate", over_long, [{"beam_size": 2, "max_length": MAX_LENGTH}]),
        build_request("sample", _repeat(texts, samples), samples),
        build_request("sample", over_long, [{"max_length": MAX_LENGTH, "seed": 7}]),
        build_request("score", _repeat(texts, targets), targets),
        build_request("score", over_long, [{"target": corpus.targets[0]}]),
        build_request("attention", _repeat(texts, targets), targets),
    ]


def _feature_requests(corpus: RequestCorpus) -> list[ProbeRequest]:
    """Requests of features, and each but the first once more with malformed rows."""
    sources = list(corpus.texts)
    with_empty = [sources[0][:0], *sources]
    requests = [build_request("serving_default", with_empty)]
    if corpus.forecasts:
        requests += _forecast_requests(with_empty)
    else:
        searches, samples = _search_rows(corpus), _sample_rows(corpus)
        searches = [{k: v for k, v in row.items() if k != "replace_unknown"} for row in searches]
        targets = _target_rows(corpus)
        requests += [
            build_request("translate", sources[:2]),
            build_request("translate", _repeat(with_empty, searches), searches),
            build_request("sample", _repeat(with_empty, samples), samples),
            build_request("score", _repeat(with_empty, targets), targets),
            build_request("attention", _repeat(sources, targets), targets),
        ]
    malformed = [
        ProbeRequest(r.signature, r.inputs | malformed_features(r.source())) for r in requests[1:]
    ]
    empty = {name: column[:0] for name, column in requests[0].inputs.items()}
    return [*requests, *malformed, ProbeRequest("serving_default", empty)]


def _forecast_requests(sources: Sequence[Any]) -> list[ProbeRequest]:
    name, steps = FORECAST.name, (1, OPTIONS["steps"].example, 2, 0, 9999)
    rows = [{"steps": count} for count in steps]
    return [build_request(name, sources), build_request(name, sources, rows)]


def _repeat(texts: Sequence[Any], rows: Sequence[Row]) -> list[Any]:
    """The texts, repeated until there is one for every row."""
    return [texts[i % len(texts)] for i in range(max(len(texts), len(rows)))]


def _search_rows(corpus: RequestCorpus) -> list[Row]:
    first, last = corpus.tokens[0], corpus.tokens[-1]
    target, phrase = corpus.targets[0], _first_word(corpus.targets[-1])
    rows: list[dict[str, Any]] = [
        {"beam_size": 1},
        {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0},
        {"beam_size": 3, "length_penalty": 1.0, "length_offset": 0.0, "coverage_penalty": 0.2},
        {"beam_size": 2, "min_length": 4, "no_repeat_ngram": 2},
        {"beam_size": 3, "repetition_penalty": 1.3, "min_length_ratio": 0.2},
        {"beam_size": 2, "target_prefix": _first_word(target)},
        {"beam_size": 1, "prefix_tokens": f"{first}\n{last}", "max_new_tokens": 3},
        {"beam_size": 4, "constraints": phrase},
        {"beam_size": 3, "disallowed": f"{first}\n{last}"},
        {"beam_size": 4, "num_hypotheses": 2, "beam_groups": 2, "diversity_penalty": 0.5},
        {"num_hypotheses": 3, "alternatives_at": 0},
        {"beam_size": 2, "replace_unknown": True, "max_length_ratio": 1.5},
        {"beam_size": 0},
        {"beam_size": 2, "num_hypotheses": 3},
        {"length_penalty": float("nan")},
        {"target_prefix": target, "prefix_tokens": first},
    ]
    return _with_examples("translate", rows)


def _sample_rows(corpus: RequestCorpus) -> list[Row]:
    first_word = _first_word(corpus.targets[0])
    rows: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 2, "num_samples": 3, "temperature": 0.7},
        {"seed": 3, "top_k": 3},
        {"seed": 4, "top_p": 0.9, "target_prefix": first_word},
        {"seed": 5, "min_p": 0.1, "prefix_tokens": corpus.tokens[0], "max_new_tokens": 4},
        {"temperature": 0.0},
        {"num_samples": -1},
    ]
    return _with_examples("sample", rows)


def _with_examples(signature: str, rows: list[dict[str, Any]]) -> list[Row]:
    """Rows with a short maximum length, and a row for each option that no row has."""
    covered = {"max_length", *(name for row in rows for name in row)}
    for option in signature_options(signature):
        if option.name not in covered and option.example is not None:
            required = [] if option.requires is None else [OPTIONS[option.requires]]
            rows = [*rows, {o.name: o.example for o in (*required, option)}]
    return [{"max_length": MAX_LENGTH} | row for row in rows]


def _target_rows(corpus: RequestCorpus) -> list[Row]:
    rows = [{"target": target} for target in (*corpus.targets, *UNUSUAL)]
    tokens = "\n".join(corpus.tokens)
    return [*rows, {"target_tokens": tokens}, {"target": "a", "target_tokens": "a"}]


def _first_word(text: str | bytes) -> str:
    """The first word, or its first characters."""
    return (decode_text(text).split() or [""])[0][:8]


def _readable(value: Any) -> Any:
    """A value for `describe`: long texts are truncated, arrays named by their shape."""
    if getattr(value, "ndim", 0):
        return f"numbers {list(value.shape)}"
    if isinstance(value, bytes):
        text = decode_text(value)
        return text if len(text) < 60 else f"{text[:57]}..."
    return value.item()
