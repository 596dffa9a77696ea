"""Predict without the network: a request checked against a signature, run, and answered.

The checks, their order and their messages are those of TensorFlow Serving, so that a client
meets the same errors here and in production.
"""

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.server import status
from keras_s2s.serving.server.status import StatusError

__all__ = ["DEFAULT_SIGNATURE", "predict"]

DEFAULT_SIGNATURE = "serving_default"


def predict(
    request: messages.PredictRequest, model, timeout: float | None = None
) -> messages.PredictResponse:
    """Answers a PredictRequest by a loaded model; all but the reply's model name and version.

    Args:
        request: the request; its model name and version are not looked at.
        model: a `session.LoadedModel` or an `edge_model.EdgeModel`.
        timeout: seconds that the run may take; None is no limit.

    Raises:
        StatusError: if the request does not fit the signature, or the run fails.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        message = f'Serving signature key "{name}" not found.'
        raise StatusError(status.FAILED_PRECONDITION, message)
    signature = model.signatures[name]
    feeds = _feeds(request.inputs, signature)
    aliases = _aliases(request.output_filter, signature)
    fetches = [signature.outputs[alias].name for alias in aliases]
    values = model.run(feeds, fetches, timeout)
    reply = messages.PredictResponse()
    reply.model_spec.signature_name = name
    for alias, value in zip(aliases, values, strict=True):
        _encode(value, alias, reply.outputs[alias])
    return reply


def _feeds(inputs, signature):
    """Arrays by the names of the graph's tensors: what was sent, and the signature's defaults."""
    _check_count(inputs, signature)
    protos = {}
    for alias, info in sorted(signature.inputs.items()):
        if alias not in inputs and alias not in signature.defaults:
            raise StatusError(status.INVALID_ARGUMENT, _missing(alias, info, inputs, signature))
        protos[alias] = inputs[alias] if alias in inputs else signature.defaults[alias]
    feeds = {signature.inputs[alias].name: _decode(one, alias) for alias, one in protos.items()}
    extra = set(inputs) - set(signature.inputs)
    if extra:
        used = _listed(set(inputs) - extra)
        raise StatusError(
            status.INVALID_ARGUMENT,
            f"Inputs contains invalid name. Used request inputs: {used},"
            f" request input: {_listed(inputs)}",
        )
    return feeds


def _check_count(inputs, signature):
    sent, wanted = len(inputs), len(signature.inputs)
    if sent == wanted or sent < wanted and signature.defaults:
        return
    extra = _listed(set(inputs) - set(signature.inputs))
    missing = _listed(set(signature.inputs) - set(inputs))
    raise StatusError(
        status.INVALID_ARGUMENT,
        f"input size does not match signature: {sent}!={wanted} len({{{_listed(inputs)}}}) !="
        f" len({{{_listed(signature.inputs)}}}). Sent extra: {{{extra}}}."
        f" Missing but required: {{{missing}}}.",
    )


def _missing(alias, info, inputs, signature):
    return (
        f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no"
        f" default value provided. Inputs expected to be in the request {{{_listed(inputs)}}},"
        f" or default input alias set: {_listed(signature.defaults)}"
    )


def _decode(proto, alias):
    try:
        array = tensor_codec.decode(proto)
    except (ValueError, MemoryError) as error:
        raise StatusError(status.INVALID_ARGUMENT, f"tensor parsing error: {alias}") from error
    if proto.dtype != tensor_codec.BFLOAT16:
        return array
    import ml_dtypes  # gives NumPy the type; TensorFlow and LiteRT bring it

    return array.astype(ml_dtypes.bfloat16)  # exact: the codec widens bfloat16 to float32


def _aliases(wanted, signature):
    """The outputs to fetch: all of them unless the request names some."""
    seen = []
    for alias in wanted or sorted(signature.outputs):
        if alias not in signature.outputs:
            raise StatusError(
                status.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} Outputs expected to be in"
                f" the set {{{_listed(signature.outputs)}}}.",
            )
        if alias in seen:
            message = f"duplicate output tensor alias: {alias}"
            raise StatusError(status.INVALID_ARGUMENT, message)
        seen.append(alias)
    return seen


def _encode(value, alias, proto):
    try:
        tensor_codec.encode(value, proto)
    except ValueError as error:
        raise StatusError(status.INTERNAL, f"output {alias}: {error}") from error


def _listed(names):
    return ",".join(sorted(names))
