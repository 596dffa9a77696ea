"""Version states and signatures of a served model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.signatures.arrays import to_text

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
    """State of one version of a model.

    Attributes:
        version: the version's number.
        state: name of the state, such as `"AVAILABLE"`.
        error_code: status code of the load; 0 without an error.
        error_message: message of the load; empty without an error.
    """

    version: int
    state: str
    error_code: int = 0
    error_message: str = ""


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of an input or output.

    Attributes:
        dtype: name of the element type, such as `"string"`.
        shape: the dimensions, None where the size varies; None if the rank is unknown.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class SignatureInfo:
    """Inputs, outputs and default inputs of a signature, by name."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    defaults: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Metadata:
    """Description of a served model.

    Attributes:
        model: name of the model.
        version: number of the version that answered.
        signatures: signatures by name.
    """

    model: str
    version: int
    signatures: dict[str, SignatureInfo]


def read_version_statuses(response: messages.GetModelStatusResponse) -> list[VersionStatus]:
    """Reads a GetModelStatusResponse; the order is the server's, newest version first."""
    return [
        VersionStatus(
            status.version,
            _STATES.get(status.state, str(status.state)),
            status.status.error_code,
            status.status.error_message,
        )
        for status in response.model_version_status
    ]


def read_metadata(
    response: messages.GetModelMetadataResponse, signature_map: messages.SignatureDefMap
) -> Metadata:
    """Reads a GetModelMetadataResponse and the SignatureDefMap that it contains."""
    signatures = {
        name: SignatureInfo(
            inputs=_tensor_infos(signature.inputs),
            outputs=_tensor_infos(signature.outputs),
            defaults={alias: _values(proto) for alias, proto in sorted(signature.defaults.items())},
        )
        for name, signature in sorted(signature_map.signature_def.items())
    }
    return Metadata(response.model_spec.name, response.model_spec.version.value, signatures)


def _tensor_infos(infos: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {alias: _tensor_info(info) for alias, info in sorted(infos.items())}


def _tensor_info(info: Any) -> TensorInfo:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorInfo(tensor_codec.type_name(info.dtype), shape)


def _values(proto: Any) -> np.ndarray:
    array = tensor_codec.decode(proto)
    return to_text(array) if array.dtype == np.object_ else array
