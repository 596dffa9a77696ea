"""Requests that show what a model does: every signature, odd texts, options mixed in one batch."""

from dataclasses import dataclass

import numpy as np

from keras_s2s.export.verification import feature_requests
from keras_s2s.signatures.fields import FORECAST, signature_fields

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
SHORT = 12  # tokens of a target: enough to show every option


@dataclass(frozen=True)
class ProbeRequest:
    """One request.

    Attributes:
        signature: its name.
        inputs: arrays [B] by name (features: [B, S, F]), strings as object arrays of bytes.
        outputs: names of those that are asked for; None is all.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: tuple[str, ...] | None = None

    @property
    def rows(self) -> int:
        return len(next(iter(self.inputs.values())))

    def source(self) -> dict[str, np.ndarray]:
        """The inputs that are its sources."""
        return {n: x for n, x in self.inputs.items() if n in ("text", "features", "length")}

    def describe(self, row: int) -> str:
        """The inputs of a row but for those that are as the signature's table has them."""
        if not self.rows:
            return "an empty batch"
        fields, _ = signature_fields(self.signature)
        values = {name: _plain(column[row]) for name, column in self.inputs.items()}
        return ", ".join(
            f"{name} {value!r}" for name, value in values.items() if value != fields[name].default
        )


@dataclass(frozen=True)
class RequestCorpus:
    """What requests are made of: texts with their targets, and tokens of targets.

    Sources of frames are arrays [S, F] in place of texts. `forecasts` is whether targets are
    vectors, of which there are none here.
    """

    texts: tuple
    targets: tuple
    tokens: tuple = ("a", "b")
    forecasts: bool = False

    @property
    def has_features(self) -> bool:
        """Whether sources are frames."""
        return isinstance(self.texts[0], np.ndarray)


def build_request(signature, texts, rows=({},), outputs=None) -> ProbeRequest:
    """A request of texts [B] or frames, whose rows take turns at having the options `rows`."""
    fields, _ = signature_fields(signature)
    rows = [rows[i % len(rows)] for i in range(len(texts))]
    if len(texts) and isinstance(texts[0], np.ndarray):
        inputs = feature_requests.columns(texts, texts[0].shape[1])
    else:
        inputs = {"text": _column(texts, "string")}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = [row.get(name, fields[name].default) for row in rows]
        inputs[name] = _column(column, fields[name].dtype)
    return ProbeRequest(signature, inputs, outputs)


def build_probe_requests(material: RequestCorpus) -> list[ProbeRequest]:
    """What a proof asks: all signatures, every kind of text, every option, rows with errors.

    An over-long text is asked of all but `attention`, whose maps grow with its square.
    """
    if material.has_features:
        return _of_frames(material)
    if material.forecasts:
        texts = [*material.texts, *UNUSUAL]
        return [build_request("serving_default", texts), *_forecasts(texts)]
    texts = [*material.texts, *UNUSUAL]
    searched, sampled = _searches(material), _draws(material)
    given = _pairs(material)
    return [
        build_request("serving_default", texts),
        build_request("serving_default", [texts[0], *LONG]),
        build_request("serving_default", []),
        build_request("translate", texts[:2]),
        build_request("translate", _cycled(texts, searched), searched),
        build_request("translate", [texts[0], *LONG], [{"beam_size": 2, "max_length": SHORT}]),
        build_request("sample", _cycled(texts, sampled), sampled),
        build_request("sample", [texts[0], *LONG], [{"max_length": SHORT, "seed": 7}]),
        build_request("score", _cycled(texts, given), given),
        build_request("score", [texts[0], *LONG], [{"target": material.targets[0]}]),
        build_request("attention", _cycled(texts, given), given),
    ]


def _of_frames(material):
    """The same of frames; some of them, beside every other row, such as cannot be read."""
    frames = list(material.texts)
    blank = [frames[0][:0], *frames]
    found = [build_request("serving_default", blank)]
    if material.forecasts:
        found += _forecasts(blank)
    else:
        searched, sampled, given = _searches(material), _draws(material), _pairs(material)
        searched = [{k: v for k, v in row.items() if k != "replace_unknown"} for row in searched]
        found += [
            build_request("translate", frames[:2]),
            build_request("translate", _cycled(blank, searched), searched),
            build_request("sample", _cycled(blank, sampled), sampled),
            build_request("score", _cycled(blank, given), given),
            build_request("attention", _cycled(frames, given), given),
        ]
    none = {name: column[:0] for name, column in found[0].inputs.items()}
    broken = [
        ProbeRequest(p.signature, p.inputs | feature_requests.odd(p.source())) for p in found[1:]
    ]
    return [*found, *broken, ProbeRequest("serving_default", none)]


def _forecasts(sources):
    name = FORECAST.name
    return [
        build_request(name, sources),
        build_request(name, sources, [{"steps": n} for n in (1, 4, 2, 0, 9999)]),
    ]


def _cycled(texts, rows):
    return [texts[i % len(texts)] for i in range(max(len(texts), len(rows)))]


def _searches(material):
    one, two = material.tokens[0], material.tokens[-1]
    text, phrase = material.targets[0], _start(material.targets[-1])
    rows = [
        {"beam_size": 1},
        {"beam_size": 4, "num_hypotheses": 3, "length_penalty": 0.0},
        {"beam_size": 3, "length_penalty": 1.0, "length_offset": 0.0, "coverage_penalty": 0.2},
        {"beam_size": 2, "min_length": 4, "no_repeat_ngram": 2},
        {"beam_size": 3, "repetition_penalty": 1.3, "min_length_ratio": 0.2},
        {"beam_size": 2, "target_prefix": _start(text)},
        {"beam_size": 1, "prefix_tokens": f"{one}\n{two}", "max_new_tokens": 3},
        {"beam_size": 4, "constraints": phrase},
        {"beam_size": 3, "disallowed": f"{one}\n{two}"},
        {"beam_size": 4, "num_hypotheses": 2, "beam_groups": 2, "diversity_penalty": 0.5},
        {"num_hypotheses": 3, "alternatives_at": 0},
        {"beam_size": 2, "replace_unknown": True, "max_length_ratio": 1.5},
        {"beam_size": 0},
        {"beam_size": 2, "num_hypotheses": 3},
        {"length_penalty": float("nan")},
        {"target_prefix": text, "prefix_tokens": one},
    ]
    return [{"max_length": SHORT} | row for row in rows]


def _draws(material):
    rows = [
        {"seed": 1},
        {"seed": 2, "num_samples": 3, "temperature": 0.7},
        {"seed": 3, "top_k": 3},
        {"seed": 4, "top_p": 0.9, "target_prefix": _start(material.targets[0])},
        {"seed": 5, "min_p": 0.1, "prefix_tokens": material.tokens[0], "max_new_tokens": 4},
        {"temperature": 0.0},
        {"num_samples": -1},
    ]
    return [{"max_length": SHORT} | row for row in rows]


def _pairs(material):
    rows = [{"target": target} for target in (*material.targets, *UNUSUAL)]
    tokens = "\n".join(material.tokens)
    return [*rows, {"target_tokens": tokens}, {"target": "a", "target_tokens": "a"}]


def _start(text):
    """The first word, or a few characters of it."""
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return (text.split() or [""])[0][:8]


def _column(values, dtype):
    if dtype != "string":
        return np.array(values, dtype)
    column = np.empty(len(values), np.object_)
    column[:] = [value.encode() if isinstance(value, str) else value for value in values]
    return column


def _plain(value):
    if getattr(value, "ndim", 0):
        return f"numbers {list(value.shape)}"
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return text if len(text) < 60 else f"{text[:57]}..."
    return value.item()
