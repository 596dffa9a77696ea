"""Reads what a server replies: hypotheses, the states of versions, a model's signatures."""

from dataclasses import dataclass

import numpy as np

from keras_s2s.serving import codec
from keras_s2s.serving.errors import RowError, UnexpectedReply
from keras_s2s.signatures import MISSING_SCORE, TRANSLATE, Hypothesis

__all__ = [
    "Metadata",
    "SignatureInfo",
    "TensorInfo",
    "VersionStatus",
    "hypotheses",
    "metadata",
    "statuses",
]

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model: its number, its state (`"AVAILABLE"`, ...) and its error, if any."""

    version: int
    state: str
    error_code: int = 0
    error_message: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: its type, such as `"string"`, and its shape, None where it varies."""

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class SignatureInfo:
    """One entry of a model: inputs and outputs by name, and the arrays that inputs default to."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    defaults: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Metadata:
    """A served model: its name, the version that answered, its signatures by name."""

    model: str
    version: int
    signatures: dict[str, SignatureInfo]


def hypotheses(outputs: dict[str, np.ndarray], rows: int) -> list[list[Hypothesis]]:
    """Reads the outputs of `translate`.

    Args:
        outputs: arrays by name, strings decoded, shaped as `keras_s2s.signatures.TRANSLATE`
            says: `text [B, K]`, `tokens [B, K, T]`, ...; `alignment` may be missing.
        rows: how many texts were sent, B.

    Returns:
        For each text its hypotheses, best first.

    Raises:
        RowError: if the model refused rows.
        UnexpectedReply: if an output is missing or has another shape.
    """
    _check(outputs, rows)
    found = [_row(outputs, row) for row in range(rows)]
    errors = {row: message for row, message in enumerate(outputs["error"]) if message}
    if errors:
        raise RowError(errors, [[] if row in errors else found[row] for row in range(rows)])
    return found


def _check(outputs, rows):
    """Holds the reply's shapes against the signature's letters."""
    sizes = {"B": rows}
    for wanted in TRANSLATE.outputs:
        if wanted.name not in outputs:
            if wanted.name == "alignment":
                continue
            raise UnexpectedReply(f"the reply to translate lacks the output {wanted.name!r}")
        shape = outputs[wanted.name].shape
        right = len(shape) == len(wanted.shape) and all(
            sizes.setdefault(letter, size) == size
            for letter, size in zip(wanted.shape, shape, strict=True)
        )
        if not right:
            expected = [sizes.get(letter, letter) for letter in wanted.shape]
            raise UnexpectedReply(
                f"the output {wanted.name!r} of translate has the shape {list(shape)};"
                f" expected {expected}"
            )


def _row(outputs, row):
    source = outputs["source_tokens"][row].tolist()
    while source and not source[-1]:
        source.pop()
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
    )


def statuses(reply) -> list[VersionStatus]:
    """Reads a GetModelStatusResponse, in the server's order: newest version first."""
    return [
        VersionStatus(
            one.version,
            _STATES.get(one.state, str(one.state)),
            one.status.error_code,
            one.status.error_message,
        )
        for one in reply.model_version_status
    ]


def metadata(reply, signature_map) -> Metadata:
    """Reads a GetModelMetadataResponse and the SignatureDefMap that it carries."""
    signatures = {
        name: SignatureInfo(
            inputs={alias: _tensor(info) for alias, info in sorted(one.inputs.items())},
            outputs={alias: _tensor(info) for alias, info in sorted(one.outputs.items())},
            defaults={alias: _values(proto) for alias, proto in sorted(one.defaults.items())},
        )
        for name, one in sorted(signature_map.signature_def.items())
    }
    return Metadata(reply.model_spec.name, reply.model_spec.version.value, signatures)


def _tensor(info):
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorInfo(codec.type_name(info.dtype), shape)


def _values(proto):
    array = codec.decode(proto)
    return codec.to_text(array) if array.dtype == np.object_ else array
