"""gRPC client of a served model.

```python
with Client("localhost:8500", "pronounce") as client:
    for hypotheses in client.translate(["hello"], beam_size=5, num_hypotheses=3):
        print(hypotheses[0].text, hypotheses[0].score)
```
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from google.protobuf.message import Message

from keras_s2s.serving import messages, tensor_codec
from keras_s2s.serving.client import arguments, responses, rpc, streaming
from keras_s2s.serving.client.metadata import (
    Metadata,
    VersionStatus,
    read_metadata,
    read_version_statuses,
)
from keras_s2s.serving.errors import DeadlineExceeded, NotFound, Unavailable, UnexpectedReply
from keras_s2s.signatures.fields import (
    ATTENTION,
    FORECAST,
    SAMPLE,
    SCORE,
    TRANSLATE,
    Attention,
    Forecast,
    Hypothesis,
    Score,
    Signature,
)

__all__ = ["Client"]


class Client:
    """Connection to one model of a TensorFlow Serving or `keras-s2s serve` server.

    Threads may share a client. Close it, or use it in a `with` block. A failed call raises an
    error of `keras_s2s.serving.errors`; an invalid argument raises a ValueError that names it.

    Args:
        address: `"HOST:PORT"` of the gRPC port. The first call connects.
        model: name of the model on the server.
        version: version of the model; None uses the latest version at each call.
        timeout: time limit of a call in seconds; None waits without limit.
        channel: a `grpc.Channel` to use instead of a plain one, for TLS or interceptors. `close`
            closes it too.

    Example:

    >>> from keras_s2s.serving import Client
    >>> with Client("localhost:8500", "pronounce", timeout=5) as client:
    ...     client.translate([])
    []
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = 60.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        self.address = arguments.check_address(address)
        self.model = arguments.check_model(model)
        self.version = arguments.check_version(version)
        self.timeout = None if timeout is None else arguments.check_timeout(timeout)
        self._channel = channel or rpc.open_channel(address)
        self._predict = rpc.unary_method(self._channel, rpc.PREDICT, messages.PredictResponse)
        self._get_metadata = rpc.unary_method(
            self._channel, rpc.GET_MODEL_METADATA, messages.GetModelMetadataResponse
        )
        self._get_status = rpc.unary_method(
            self._channel, rpc.GET_MODEL_STATUS, messages.GetModelStatusResponse
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls in progress in other threads are cancelled."""
        self._channel.close()

    def translate(
        self,
        texts: Iterable[Any],
        *,
        alignment: bool = True,
        timeout: float | None = None,
        **options: Any,
    ) -> list[list[Hypothesis]]:
        """Translates texts by the model's signature `translate`.

        Args:
            texts: B strings, or B arrays of numbers [S, F] for a model of real-valued features.
                An empty list gives `[]` without a call.
            alignment: False omits the attention, by far the largest part of a response.
            timeout: time limit of this call in seconds; None uses the client's.
            **options: inputs of `keras_s2s.signatures.TRANSLATE` such as `beam_size`,
                `num_hypotheses`, `length_penalty`, `max_length`: one value, or one value for
                each text. `prefix_tokens`, `constraints` and `disallowed` are lists of strings,
                one list for all texts or one list for each text. An omitted option, or None,
                uses the default of the exported model.

        Returns:
            For each text its hypotheses, best first.

        Raises:
            ValueError: if `texts` or an option is invalid.
            RowError: if the model rejects rows; its `results` hold the hypotheses of the other
                rows.
            CallError: if the call fails.
            UnexpectedReply: if the model's outputs do not match the signature.
        """
        return self._search(TRANSLATE, texts, alignment, timeout, options)

    def sample(
        self,
        texts: Iterable[Any],
        *,
        alignment: bool = True,
        timeout: float | None = None,
        **options: Any,
    ) -> list[list[Hypothesis]]:
        """Draws targets from the model's distribution by its signature `sample`.

        Args:
            texts, alignment, timeout: as for `translate`.
            **options: inputs of `keras_s2s.signatures.SAMPLE`: `num_samples`, `temperature`,
                `top_k`, `top_p`, `min_p`, `seed`, `max_length`, `target_prefix`,
                `prefix_tokens`, `max_new_tokens`. Equal seeds give equal samples.

        Returns:
            For each text its samples.

        Raises:
            ValueError, RowError, CallError, UnexpectedReply: as `translate`.
        """
        return self._search(SAMPLE, texts, alignment, timeout, options)

    def forecast(
        self, frames: Iterable[Any], steps: Any = None, *, timeout: float | None = None
    ) -> list[Forecast]:
        """Continues sequences of features by the model's signature `forecast`.

        Args:
            frames: B arrays of numbers [S, F]; B strings for a model that reads text.
            steps: number of frames to forecast, for all rows or for each row; None uses the
                model's default.
            timeout: time limit of this call in seconds; None uses the client's.

        Returns:
            For each row its `Forecast` of `steps` frames.

        Raises:
            ValueError, RowError, CallError, UnexpectedReply: as `translate`.
        """
        inputs = arguments.search_inputs(FORECAST, frames, {"steps": steps})
        return self._run(FORECAST, inputs, timeout)

    def stream(
        self,
        text: str,
        *,
        chunk: int = 8,
        sampling: bool = False,
        alignment: bool = False,
        timeout: float | None = None,
        **options: Any,
    ) -> Iterator[Hypothesis]:
        """Translates one text and yields the growing target, one call for each step.

        Each hypothesis holds the whole target so far. Its `tokens` start with those of the
        previous hypothesis; its `text` usually does too. The last hypothesis is the result;
        until then `finished` is False. The result has the tokens of
        `translate(..., beam_size=1)`, or of `sample` with the same seed. A wider beam is searched
        anew in each step and may find other tokens, and unknown tokens that were replaced are
        read back as their replacement.

        Args:
            text: one string.
            chunk: number of tokens that each step adds.
            sampling: True samples as `sample` does; False searches as `translate` does, greedily
                unless `beam_size` is given.
            alignment: True includes the attention, which is sent again in each step.
            timeout: time limit of each call in seconds; None uses the client's.
            **options: options of `translate` or `sample`, except `num_hypotheses`,
                `num_samples`, `constraints` and `alternatives_at`.

        Returns:
            An iterator of hypotheses. Arguments are checked before the first step.

        Raises:
            ValueError: if an argument is invalid.
            RowError: by a step, if the model rejects the text or an option.
            CallError: by a step, if its call fails.
            UnexpectedReply: by a step, if the model's outputs do not match the signature.
        """
        signature, method = (SAMPLE, self.sample) if sampling else (TRANSLATE, self.translate)
        translate = functools.partial(method, alignment=alignment, timeout=timeout)
        return streaming.stream(translate, signature, text, chunk, options)

    def score(
        self,
        texts: Iterable[Any],
        targets: Iterable[str] | None = None,
        target_tokens: Iterable[Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> list[Score]:
        """Computes log-probabilities of given targets by the model's signature `score`.

        Args:
            texts: B strings.
            targets: a string for each text, or one for all.
            target_tokens: instead of `targets`: a list of tokens for each text, as in
                `Hypothesis.tokens`, or one list for all.
            timeout: time limit of this call in seconds; None uses the client's.

        Returns:
            B scores.

        Raises:
            ValueError: if an argument is invalid, or not exactly one of `targets` and
                `target_tokens` is given.
            RowError: if the model rejects rows; its `results` hold None for them.
            CallError: if the call fails.
            UnexpectedReply: if the model's outputs do not match the signature.
        """
        inputs = arguments.target_inputs(texts, targets, target_tokens)
        return self._run(SCORE, inputs, timeout)

    def attention(
        self,
        texts: Iterable[Any],
        targets: Iterable[str] | None = None,
        target_tokens: Iterable[Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> list[Attention]:
        """Returns all attention maps of the model by its signature `attention`.

        Args:
            texts, targets, target_tokens, timeout: as for `score`.

        Returns:
            For each text its maps: float arrays [A, T, S] over the source, and [E, S, S] and
            [D, T, T] of a Transformer.

        Raises:
            ValueError, RowError, CallError, UnexpectedReply: as `score`.
        """
        inputs = arguments.target_inputs(texts, targets, target_tokens)
        return self._run(ATTENTION, inputs, timeout)

    def predict(
        self,
        signature: str,
        inputs: dict[str, Any],
        *,
        outputs: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls any signature of the model.

        Args:
            signature: name of the signature, such as `"serving_default"`.
            inputs: arrays by name, or Python values, which `tensor_codec.to_array` converts
                (integers to int32, other numbers to float32, str to UTF-8).
            outputs: names of the outputs to return; None returns all.
            timeout: time limit of this call in seconds; None uses the client's.

        Returns:
            Arrays by output name; strings as object arrays of Python strings, invalid UTF-8
            replaced by U+FFFD.

        Raises:
            ValueError: if an input cannot be sent.
            CallError: if the call fails.
            UnexpectedReply: if an output cannot be read.
        """
        request = messages.PredictRequest(
            model_spec=self._model_spec(signature),
            output_filter=[] if outputs is None else list(outputs),
        )
        for name, value in inputs.items():
            tensor_codec.encode(tensor_codec.to_array(value, name), request.inputs[name])
        response = self._call(self._predict, request, timeout)
        return {name: _decode_output(name, proto) for name, proto in response.outputs.items()}

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Returns the states of all versions, newest first; of `version` alone if it is set."""
        request = messages.GetModelStatusRequest(model_spec=self._model_spec())
        return read_version_statuses(self._call(self._get_status, request, timeout))

    def metadata(self, *, timeout: float | None = None) -> Metadata:
        """Returns the signatures of the version in use: names, types, shapes, defaults."""
        request = messages.GetModelMetadataRequest(
            model_spec=self._model_spec(), metadata_field=["signature_def"]
        )
        response = self._call(self._get_metadata, request, timeout)
        packed = response.metadata["signature_def"].value
        return read_metadata(response, messages.SignatureDefMap.FromString(packed))

    def wait_until_ready(self, timeout: float = 60.0) -> int:
        """Waits until the model (its `version`, if set) is available.

        Args:
            timeout: time limit in seconds.

        Returns:
            The available version.

        Raises:
            DeadlineExceeded: if no version is available by then; the message tells the last
                state.
        """
        deadline = time.monotonic() + arguments.check_timeout(timeout)
        while True:
            cause = None
            try:
                statuses = self.status(timeout=max(0.1, min(5.0, deadline - time.monotonic())))
                ready = [status.version for status in statuses if status.state == "AVAILABLE"]
                if ready:
                    return ready[0]
                states = "; ".join(f"version {s.version} is {s.state}" for s in statuses)
            except (Unavailable, NotFound, DeadlineExceeded) as error:
                cause, states = error, error.details or ""
            if time.monotonic() >= deadline:
                message = f"not ready after {timeout:g} s: {states}"
                raise DeadlineExceeded(message, address=self.address, model=self.model) from cause
            time.sleep(0.1)

    def _search(
        self,
        signature: Signature,
        texts: Iterable[Any],
        alignment: bool,
        timeout: float | None,
        options: dict[str, Any],
    ) -> list[list[Hypothesis]]:
        inputs = arguments.search_inputs(signature, texts, options)
        return self._run(signature, inputs, timeout, () if alignment else ("alignment",))

    def _run(
        self,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        timeout: float | None,
        omitted_outputs: tuple[str, ...] = (),
    ) -> list[Any]:
        num_rows = len(next(iter(inputs.values())))
        if not num_rows:
            return []
        # Outputs are listed only to omit some: a model may lack optional ones.
        names = [name for name in signature.output_names() if name not in omitted_outputs]
        outputs = self.predict(
            signature.name, inputs, outputs=names if omitted_outputs else None, timeout=timeout
        )
        return responses.read_rows(signature, outputs, num_rows, omitted_outputs)

    def _model_spec(self, signature: str = "") -> messages.ModelSpec:
        spec = messages.ModelSpec(name=self.model, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        return spec

    def _call(
        self,
        method: Callable[..., rpc.ResponseT],
        request: Message,
        timeout: float | None,
    ) -> rpc.ResponseT:
        seconds = self.timeout if timeout is None else arguments.check_timeout(timeout)
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            raise rpc.call_error(error, self.address, self.model) from error


def _decode_output(name: str, proto: Any) -> np.ndarray:
    try:
        array = tensor_codec.decode(proto)
    except ValueError as error:
        raise UnexpectedReply(f"the output {name!r} cannot be read: {error}") from error
    return tensor_codec.to_text(array) if array.dtype == np.object_ else array
