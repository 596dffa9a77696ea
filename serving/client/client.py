"""gRPC client of a served model.

```python
with Client("localhost:8500", "pronounce") as client:
    for hypotheses in client.translate(["hello"], beam_size=5, num_hypotheses=3):
        print(hypotheses[0].text, hypotheses[0].score)
```
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_s2s.serving.client import responses, streaming
from keras_s2s.serving.client.connection import Connection
from keras_s2s.signatures.fields import (
    ATTENTION,
    FORECAST,
    SAMPLE,
    SCORE,
    TRANSLATE,
    Signature,
)
from keras_s2s.signatures.requests import search_inputs, target_inputs
from keras_s2s.signatures.responses import Attention, Forecast, Hypothesis, Score

__all__ = ["Client"]


class Client(Connection):
    """Connection to one model of a TensorFlow Serving or `keras-s2s serve` server.

    Threads may share a client. Close it, or use it in a `with` block. A failed call raises an
    error of `keras_s2s.serving.errors`; an invalid argument raises a ValueError that names it.
    `predict`, `status`, `metadata` and `wait_until_ready` are those of `connection.Connection`.

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
        inputs = search_inputs(FORECAST, frames, {"steps": steps})
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
        inputs = target_inputs(texts, targets, target_tokens)
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
        inputs = target_inputs(texts, targets, target_tokens)
        return self._run(ATTENTION, inputs, timeout)

    def _search(
        self,
        signature: Signature,
        texts: Iterable[Any],
        alignment: bool,
        timeout: float | None,
        options: dict[str, Any],
    ) -> list[list[Hypothesis]]:
        inputs = search_inputs(signature, texts, options)
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
