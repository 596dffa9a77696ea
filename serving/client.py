"""Ask a served model from Python, without TensorFlow.

with Client("localhost:8500", "pronounce") as client:
    for hypotheses in client.translate(["hello"], beam_size=5, num_hypotheses=3):
        print(hypotheses[0].text, hypotheses[0].score)
"""

import difflib
import math
import time
from collections.abc import Iterable

import grpc
import numpy as np

from keras_s2s.serving import codec, messages, results
from keras_s2s.serving.errors import (
    CALL_ERRORS,
    DeadlineExceeded,
    NotFound,
    Unavailable,
    UnexpectedReply,
    UnknownError,
)
from keras_s2s.signatures import TRANSLATE, Hypothesis

__all__ = ["Client"]

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),  # no limit, as on the server's side
    ("grpc.max_receive_message_length", -1),
    # so that `wait_until_ready` sees a server soon after it came up
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"


class Client:
    """A connection to one model on a TensorFlow Serving, or `keras-s2s serve`, address.

    It may be shared by threads; close it, or use it in a `with` block. A call that fails raises
    an error of `keras_s2s.serving.errors`; a wrong argument a ValueError that names it.

    Args:
        address: `"HOST:PORT"` of the gRPC port. The connection is made by the first call.
        model: the model's name on the server.
        version: a version of it; None is the latest at each call.
        timeout: seconds that a call may take; None waits for ever.
        channel: a `grpc.Channel` to use in place of a plain one to the address, for TLS or
            interceptors. `close` closes it too.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = 60.0,
        channel: grpc.Channel | None = None,
    ):
        self.address = _checked_address(address)
        self.model = _checked_model(model)
        self.version = _checked_version(version)
        self.timeout = None if timeout is None else _checked_timeout(timeout)
        self._channel = channel or grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._predict = self._method(_PREDICTION + "Predict", messages.PredictResponse)
        self._metadata = self._method(
            _PREDICTION + "GetModelMetadata", messages.GetModelMetadataResponse
        )
        self._status = self._method(_MODEL + "GetModelStatus", messages.GetModelStatusResponse)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Ends the connection; calls under way in other threads are cancelled."""
        self._channel.close()

    def translate(
        self,
        texts: Iterable[str],
        *,
        alignment: bool = True,
        timeout: float | None = None,
        **options,
    ) -> list[list[Hypothesis]]:
        """Translates texts by the model's signature `translate`.

        Args:
            texts: B strings. None at all gives `[]` without a call.
            alignment: False spares the attention, by far the largest part of a reply.
            timeout: seconds for this call; None is the client's own.
            **options: inputs of `keras_s2s.signatures.TRANSLATE` such as `beam_size`,
                `num_hypotheses`, `length_penalty`, `max_length`: one value, or one for each
                text. What is left out, or None, is the model's own default.

        Returns:
            For each text its hypotheses, best first.

        Raises:
            ValueError: if `texts` or an option is wrong.
            RowError: if the model refused rows; its `results` hold the other rows' hypotheses.
            CallError: if the call failed.
            UnexpectedReply: if the model's outputs are not those of the signature.
        """
        inputs = _translate_inputs(texts, options)
        rows = len(inputs["text"])
        if not rows:
            return []
        names = [one.name for one in TRANSLATE.outputs if one.name != "alignment"]
        outputs = self.predict(
            TRANSLATE.name, inputs, outputs=None if alignment else names, timeout=timeout
        )
        return results.hypotheses(outputs, rows)

    def predict(
        self,
        signature: str,
        inputs: dict,
        *,
        outputs: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls any signature of the model.

        Args:
            signature: its name, such as `"serving_default"`.
            inputs: by name: arrays, or Python values as `codec.to_array` reads them (whole
                numbers become int32, others float32, str UTF-8).
            outputs: names of the outputs wanted; None is all.
            timeout: seconds for this call; None is the client's own.

        Returns:
            Arrays by the outputs' names; strings as object arrays of Python strings, bytes that
            are no UTF-8 replaced by U+FFFD.

        Raises:
            ValueError: if an input cannot be sent.
            CallError: if the call failed.
            UnexpectedReply: if an output cannot be read.
        """
        request = messages.PredictRequest(
            model_spec=self._spec(signature), output_filter=[] if outputs is None else list(outputs)
        )
        for name, value in inputs.items():
            codec.encode(codec.to_array(value, name), request.inputs[name])
        reply = self._call(self._predict, request, timeout)
        return {name: _read(name, proto) for name, proto in reply.outputs.items()}

    def status(self, *, timeout: float | None = None) -> list[results.VersionStatus]:
        """Gives the states of the model's versions, newest first; of `version` alone if set."""
        request = messages.GetModelStatusRequest(model_spec=self._spec())
        return results.statuses(self._call(self._status, request, timeout))

    def metadata(self, *, timeout: float | None = None) -> results.Metadata:
        """Gives the signatures of the version that answers: names, types, shapes, defaults."""
        request = messages.GetModelMetadataRequest(
            model_spec=self._spec(), metadata_field=["signature_def"]
        )
        reply = self._call(self._metadata, request, timeout)
        packed = reply.metadata["signature_def"].value
        return results.metadata(reply, messages.SignatureDefMap.FromString(packed))

    def wait_until_ready(self, timeout: float = 60.0) -> int:
        """Waits until the model (the client's `version` of it, if set) can answer.

        Args:
            timeout: seconds to wait at most.

        Returns:
            The version that is ready.

        Raises:
            DeadlineExceeded: if none is ready by then; it tells what was last seen.
        """
        deadline = time.monotonic() + _checked_timeout(timeout)
        while True:
            cause = None
            try:
                found = self.status(timeout=max(0.1, min(5.0, deadline - time.monotonic())))
                ready = [one.version for one in found if one.state == "AVAILABLE"]
                if ready:
                    return ready[0]
                seen = "; ".join(f"version {one.version} is {one.state}" for one in found)
            except (Unavailable, NotFound, DeadlineExceeded) as error:
                cause, seen = error, error.details
            if time.monotonic() >= deadline:
                message = f"not ready after {timeout:g} s: {seen}"
                raise DeadlineExceeded(message, address=self.address, model=self.model) from cause
            time.sleep(0.1)

    def _method(self, path, reply):
        return self._channel.unary_unary(
            path,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=reply.FromString,
        )

    def _spec(self, signature=""):
        spec = messages.ModelSpec(name=self.model, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        return spec

    def _call(self, method, request, timeout):
        seconds = self.timeout if timeout is None else _checked_timeout(timeout)
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            kind = CALL_ERRORS.get(error.code().name, UnknownError)
            raise kind(error.details(), address=self.address, model=self.model) from error


def _checked_address(address):
    host, colon, port = str(address).rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535) or "/" in host:
        raise ValueError(f"address must be 'HOST:PORT', not {address!r}")
    return address


def _checked_model(model):
    if not isinstance(model, str) or not model:
        raise ValueError(f"model must be a served model's name, not {model!r}")
    return model


def _checked_version(version):
    whole = isinstance(version, int) and not isinstance(version, bool)
    if version is not None and not (whole and 0 <= version < 2**63):
        raise ValueError(f"version must be a whole number, not {version!r}")
    return version


def _checked_timeout(timeout):
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}")
    return timeout


def _translate_inputs(texts, options):
    """The inputs of `translate`: every one a full vector [B], as a batching server wants them."""
    if isinstance(texts, str | bytes):
        raise ValueError(f"texts must be a list of strings, not the one string {texts!r}")
    inputs = {"text": codec.to_array(list(texts), "texts", "string")}
    if inputs["text"].ndim != 1:
        raise ValueError("texts must be a flat list of strings")
    fields = {one.name: one for one in TRANSLATE.inputs if one.name != "text"}
    for name, value in options.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unknown option {name!r}: expected one of {list(fields)}{hint}")
        if value is not None:
            array = codec.to_array(value, name, fields[name].dtype)
            inputs[name] = _full(array, name, len(inputs["text"]))
    return inputs


def _full(array, name, rows):
    if array.ndim > 1 or array.ndim == 1 and len(array) != rows:
        raise ValueError(
            f"{name} must be one value or one for each of the {rows} texts;"
            f" got the shape {list(array.shape)}"
        )
    return np.broadcast_to(array, (rows,))


def _read(name, proto):
    try:
        array = codec.decode(proto)
    except ValueError as error:
        raise UnexpectedReply(f"the output {name!r} cannot be read: {error}") from error
    return codec.to_text(array) if array.dtype == np.object_ else array
