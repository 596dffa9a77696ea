"""The Predict call without the network.

The checks, their order and their messages are those of TensorFlow Serving, so that a client gets
the same errors here and in production.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.server import status
from keras_s2s.serving.server.cancellation import Cancellation
from keras_s2s.serving.server.servable import Servable
from keras_s2s.serving.server.status import StatusError

__all__ = ["DEFAULT_SIGNATURE", "predict", "run_model"]

DEFAULT_SIGNATURE = "serving_default"


def predict(
    request: messages.PredictRequest,
    model: Servable,
    timeout: float | None = None,
    cancellation: Cancellation | None = None,
) -> messages.PredictResponse:
    """Answers a PredictRequest with a loaded model.

    Args:
        request: the request; its model name and version are ignored.
        model: the loaded model.
        timeout: time limit of the run in seconds; None is no limit.
        cancellation: ends the run when the caller has gone, if the model supports it.

    Returns:
        The response, without the model's name and version.

    Raises:
        StatusError: if the request does not match the signature, or the run fails.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        message = f'Serving signature key "{name}" not found.'
        raise StatusError(status.FAILED_PRECONDITION, message)
    signature = model.signatures[name]
    feeds = _feeds(request.inputs, signature)
    aliases = _output_aliases(request.output_filter, signature)
    fetches = [signature.outputs[alias].name for alias in aliases]
    values = run_model(model, feeds, fetches, timeout, cancellation)
    response = messages.PredictResponse()
    response.model_spec.signature_name = name
    for alias, value in zip(aliases, values, strict=True):
        _encode(value, alias, response.outputs[alias])
    return response


def run_model(
    model: Servable,
    feeds: dict[str, np.ndarray],
    fetches: list[str],
    timeout: float | None,
    cancellation: Cancellation | None,
) -> list[np.ndarray]:
    """Runs a model; one without `supports_cancellation` is run without the cancellation."""
    arguments: list[Any] = [feeds, fetches, timeout]
    if cancellation is not None and getattr(model, "supports_cancellation", False):
        arguments.append(cancellation)
    return model.run(*arguments)


def _feeds(inputs: Mapping[str, Any], signature: Any) -> dict[str, np.ndarray]:
    """Returns arrays by tensor name: the request's inputs and the signature's defaults."""
    _check_num_inputs(inputs, signature)
    protos = {}
    for alias, info in sorted(signature.inputs.items()):
        if alias not in inputs and alias not in signature.defaults:
            message = _missing_input_message(alias, info, inputs, signature)
            raise StatusError(status.INVALID_ARGUMENT, message)
        protos[alias] = inputs[alias] if alias in inputs else signature.defaults[alias]
    arrays = {alias: _decode(proto, alias) for alias, proto in protos.items()}
    unknown = set(inputs) - set(signature.inputs)
    if unknown:
        used = _join(set(inputs) - unknown)
        raise StatusError(
            status.INVALID_ARGUMENT,
            f"Inputs contains invalid name. Used request inputs: {used},"
            f" request input: {_join(inputs)}",
        )
    _check_ranks_of_strings(arrays, signature)
    return {signature.inputs[alias].name: array for alias, array in arrays.items()}


def _check_num_inputs(inputs: Mapping[str, Any], signature: Any) -> None:
    num_sent, num_declared = len(inputs), len(signature.inputs)
    if num_sent == num_declared or num_sent < num_declared and signature.defaults:
        return
    extra = _join(set(inputs) - set(signature.inputs))
    missing = _join(set(signature.inputs) - set(inputs))
    raise StatusError(
        status.INVALID_ARGUMENT,
        f"input size does not match signature: {num_sent}!={num_declared}"
        f" len({{{_join(inputs)}}}) != len({{{_join(signature.inputs)}}})."
        f" Sent extra: {{{extra}}}. Missing but required: {{{missing}}}.",
    )


def _missing_input_message(alias: str, info: Any, inputs: Mapping[str, Any], signature: Any) -> str:
    return (
        f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no"
        f" default value provided. Inputs expected to be in the request {{{_join(inputs)}}},"
        f" or default input alias set: {_join(signature.defaults)}"
    )


def _decode(proto: Any, alias: str) -> np.ndarray:
    try:
        array = tensor_codec.decode(proto)
    except tensor_codec.TensorSizeError as error:  # TensorFlow Serving has no such limit
        message = f"tensor parsing error: {alias}: {error}"
        raise StatusError(status.INVALID_ARGUMENT, message) from error
    except (ValueError, MemoryError) as error:
        raise StatusError(status.INVALID_ARGUMENT, f"tensor parsing error: {alias}") from error
    if proto.dtype != tensor_codec.BFLOAT16:
        return array
    import ml_dtypes  # adds the type to NumPy; installed with TensorFlow and LiteRT

    return array.astype(ml_dtypes.bfloat16)  # exact: the codec widens bfloat16 to float32


def _check_ranks_of_strings(arrays: Mapping[str, np.ndarray], signature: Any) -> None:
    """Rejects strings whose rank can end the process.

    TensorFlow Serving checks no shapes, and existing clients rely on it: they send [1] for
    [None, 1], and scalars for options, whose defaults are broadcast. But text operations such as
    tokenizers abort the process at a scalar, or at a matrix where they expect a vector.
    """
    for alias, array in arrays.items():
        shape = signature.inputs[alias].tensor_shape
        rank = 0 if shape.unknown_rank else len(shape.dim)
        is_required_text = array.dtype == np.object_ and alias not in signature.defaults
        if is_required_text and rank and not 1 <= array.ndim <= rank:
            expected = "a vector" if rank == 1 else f"a tensor of rank {rank}"
            raise StatusError(
                status.INVALID_ARGUMENT,
                f"{alias}: expected {expected}, got the shape {list(array.shape)}",
            )


def _output_aliases(output_filter: Iterable[str], signature: Any) -> list[str]:
    """Returns the outputs to fetch: those of the filter, or all if it is empty."""
    aliases: list[str] = []
    for alias in output_filter or sorted(signature.outputs):
        if alias not in signature.outputs:
            raise StatusError(
                status.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} Outputs expected to be in"
                f" the set {{{_join(signature.outputs)}}}.",
            )
        if alias in aliases:
            message = f"duplicate output tensor alias: {alias}"
            raise StatusError(status.INVALID_ARGUMENT, message)
        aliases.append(alias)
    return aliases


def _encode(value: np.ndarray, alias: str, proto: Any) -> None:
    try:
        tensor_codec.encode(value, proto)
    except ValueError as error:
        raise StatusError(status.INTERNAL, f"output {alias}: {error}") from error


def _join(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
