"""Ask a served model from Python, without TensorFlow.

with Client("localhost:8500", "pronounce") as client:
    for hypotheses in client.translate(["hello"], beam_size=5, num_hypotheses=3):
        print(hypotheses[0].text, hypotheses[0].score)
"""

import functools
import time
from collections.abc import Iterable, Iterator

import grpc
import numpy as np

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.client import arguments, responses, streaming
from keras_s2s.serving.client import read_metadata as results
from keras_s2s.serving.errors import (
    CALL_ERRORS,
    DeadlineExceeded,
    NotFound,
    Unavailable,
    UnexpectedReply,
    UnknownError,
)
from keras_s2s.signatures.fields import ATTENTION, FORECAST, SAMPLE, SCORE, TRANSLATE
from keras_s2s.signatures.responses import Attention, Forecast, Hypothesis, Score

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
        self.address = arguments.check_address(address)
        self.model = arguments.check_model(model)
        self.version = arguments.check_version(version)
        self.timeout = None if timeout is None else arguments.check_timeout(timeout)
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
            texts: B strings, or B arrays of numbers [S, F] where the model reads frames. None at
                all gives `[]` without a call.
            alignment: False spares the attention, by far the largest part of a reply.
            timeout: seconds for this call; None is the client's own.
            **options: inputs of `keras_s2s.signatures.TRANSLATE` such as `beam_size`,
                `num_hypotheses`, `length_penalty`, `max_length`: one value, or one for each
                text. `prefix_tokens`, `constraints` and `disallowed` are lists of strings, one
                for all texts or one for each. What is left out, or None, is the model's own
                default.

        Returns:
            For each text its hypotheses, best first.

        Raises:
            ValueError: if `texts` or an option is wrong.
            RowError: if the model refused rows; its `results` hold the other rows' hypotheses.
            CallError: if the call failed.
            UnexpectedReply: if the model's outputs are not those of the signature.
        """
        return self._search(TRANSLATE, texts, alignment, timeout, options)

    def sample(
        self,
        texts: Iterable[str],
        *,
        alignment: bool = True,
        timeout: float | None = None,
        **options,
    ) -> list[list[Hypothesis]]:
        """Draws targets from the model's probabilities by its signature `sample`.

        Args:
            **options: inputs of `keras_s2s.signatures.SAMPLE`: `num_samples`, `temperature`,
                `top_k`, `top_p`, `min_p`, `seed`, `max_length`, `target_prefix`,
                `prefix_tokens`, `max_new_tokens`. Equal seeds give equal draws.

        Other arguments, the result and the errors are those of `translate`.
        """
        return self._search(SAMPLE, texts, alignment, timeout, options)

    def forecast(self, frames, steps=None, *, timeout: float | None = None) -> list[Forecast]:
        """Continues sequences of vectors by the model's signature `forecast`.

        Args:
            frames: B arrays of numbers [S, F]; B strings for a model that reads text.
            steps: frames wanted, one number or one for each row; None is the model's default.
            timeout: seconds for this call; None is the client's own.

        Returns:
            For each row its `Forecast`, as many frames as it has steps.

        The errors are those of `translate`.
        """
        inputs = arguments.search_inputs(FORECAST, frames, {"steps": steps})
        return self._ask(FORECAST, inputs, timeout)

    def stream(
        self,
        text: str,
        *,
        chunk: int = 8,
        sampling: bool = False,
        alignment: bool = False,
        timeout: float | None = None,
        **options,
    ) -> Iterator[Hypothesis]:
        """Translates one text and gives the target as it grows, a call for each step.

        Each hypothesis holds the whole target so far; its `tokens` begin with those of the one
        before, its `text` does so as a rule. The last one is the result; until then `finished`
        is False. It has the tokens that `translate(..., beam_size=1)` finds, or `sample` with
        that seed; a wider beam is searched anew in each step and may find others, and unknown
        tokens that were replaced are read back as what they became.

        Args:
            text: one string.
            chunk: tokens that each step adds.
            sampling: draw as `sample` does; else search as `translate` does, greedily unless
                `beam_size` says otherwise.
            alignment: True gives the attention too, sent anew with each step.
            timeout: seconds for each call; None is the client's own.
            **options: those of `translate` or `sample`, but for `num_hypotheses`,
                `num_samples`, `constraints` and `alternatives_at`.

        Raises:
            ValueError: if an argument is wrong; now, the others when a step is asked for.
            RowError: if the model refused the text or an option.
            CallError: if a call failed.
            UnexpectedReply: if the model's outputs are not those of the signature.
        """
        signature, ask = (SAMPLE, self.sample) if sampling else (TRANSLATE, self.translate)
        ask = functools.partial(ask, alignment=alignment, timeout=timeout)
        return streaming.stream(ask, signature, text, chunk, options)

    def score(
        self,
        texts: Iterable[str],
        targets: Iterable[str] | None = None,
        target_tokens: Iterable | None = None,
        *,
        timeout: float | None = None,
    ) -> list[Score]:
        """Tells how likely the model holds given targets, by its signature `score`.

        Args:
            texts: B strings.
            targets: a string for each text, or one for all.
            target_tokens: in place of `targets`: a list of tokens for each text, as a
                `Hypothesis` has them, or one for all.
            timeout: seconds for this call; None is the client's own.

        Returns:
            B scores.

        Raises:
            ValueError: if an argument is wrong, or not one of `targets` and `target_tokens` given.
            RowError: if the model refused rows; its `results` hold None in their places.
            CallError: if the call failed.
            UnexpectedReply: if the model's outputs are not those of the signature.
        """
        inputs = arguments.target_inputs(texts, targets, target_tokens)
        return self._ask(SCORE, inputs, timeout)

    def attention(
        self,
        texts: Iterable[str],
        targets: Iterable[str] | None = None,
        target_tokens: Iterable | None = None,
        *,
        timeout: float | None = None,
    ) -> list[Attention]:
        """Gives all attention of the model, by its signature `attention`.

        Arguments and errors are those of `score`.

        Returns:
            For each text its maps: float arrays [A, T, S] over the source, and [E, S, S] and
            [D, T, T] of a Transformer.
        """
        inputs = arguments.target_inputs(texts, targets, target_tokens)
        return self._ask(ATTENTION, inputs, timeout)

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
            tensor_codec.encode(tensor_codec.to_array(value, name), request.inputs[name])
        reply = self._call(self._predict, request, timeout)
        return {name: _read(name, proto) for name, proto in reply.outputs.items()}

    def status(self, *, timeout: float | None = None) -> list[results.VersionStatus]:
        """Gives the states of the model's versions, newest first; of `version` alone if set."""
        request = messages.GetModelStatusRequest(model_spec=self._spec())
        return results.read_version_statuses(self._call(self._status, request, timeout))

    def metadata(self, *, timeout: float | None = None) -> results.Metadata:
        """Gives the signatures of the version that answers: names, types, shapes, defaults."""
        request = messages.GetModelMetadataRequest(
            model_spec=self._spec(), metadata_field=["signature_def"]
        )
        reply = self._call(self._metadata, request, timeout)
        packed = reply.metadata["signature_def"].value
        return results.read_metadata(reply, messages.SignatureDefMap.FromString(packed))

    def wait_until_ready(self, timeout: float = 60.0) -> int:
        """Waits until the model (the client's `version` of it, if set) can answer.

        Args:
            timeout: seconds to wait at most.

        Returns:
            The version that is ready.

        Raises:
            DeadlineExceeded: if none is ready by then; it tells what was last seen.
        """
        deadline = time.monotonic() + arguments.check_timeout(timeout)
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

    def _search(self, signature, texts, alignment, timeout, options):
        inputs = arguments.search_inputs(signature, texts, options)
        return self._ask(signature, inputs, timeout, () if alignment else ("alignment",))

    def _ask(self, signature, inputs, timeout, omitted=()):
        count = len(next(iter(inputs.values())))
        if not count:
            return []
        # all of them are not named: some models have not those that are optional
        names = [name for name in signature.output_names() if name not in omitted]
        outputs = self.predict(
            signature.name, inputs, outputs=names if omitted else None, timeout=timeout
        )
        return responses.read_rows(signature, outputs, count, omitted)

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
        seconds = self.timeout if timeout is None else arguments.check_timeout(timeout)
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            kind = CALL_ERRORS.get(error.code().name, UnknownError)
            raise kind(error.details(), address=self.address, model=self.model) from error


def _read(name, proto):
    try:
        array = tensor_codec.decode(proto)
    except ValueError as error:
        raise UnexpectedReply(f"the output {name!r} cannot be read: {error}") from error
    return tensor_codec.to_text(array) if array.dtype == np.object_ else array
