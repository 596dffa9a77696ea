"""Reads what a server tells of a model: the states of its versions, its signatures."""

from dataclasses import dataclass

import numpy as np

from keras_s2s.serving import tensor_codec

__all__ = [
    "Metadata",
    "SignatureInfo",
    "TensorInfo",
    "VersionStatus",
    "read_metadata",
    "read_version_statuses",
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


def read_version_statuses(reply) -> list[VersionStatus]:
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


def read_metadata(reply, signature_map) -> Metadata:
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
    return TensorInfo(tensor_codec.type_name(info.dtype), shape)


def _values(proto):
    array = tensor_codec.decode(proto)
    return tensor_codec.to_text(array) if array.dtype == np.object_ else array
