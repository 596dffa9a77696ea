"""Interface of a loaded version of a model."""

from typing import Any, Protocol

import numpy as np

from keras_s2s.serving.server.cancellation import Cancellation

__all__ = ["Servable"]


class Servable(Protocol):
    """A loaded model: a `session.LoadedModel` or an `edge_model.EdgeModel`.

    Attributes:
        signatures: SignatureDef messages by name.

    A model whose `run` takes a `cancellation` also has the attribute `supports_cancellation`;
    `run_model` leaves the argument out for others.
    """

    signatures: dict[str, Any]

    def run(
        self,
        feeds: dict[str, np.ndarray],
        fetches: list[str],
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> list[np.ndarray]:
        """Computes tensors.

        Args:
            feeds: arrays by tensor name; strings as object arrays of bytes.
            fetches: names of the tensors to return.
            timeout: time limit in seconds; None is no limit.
            cancellation: ends the run with CANCELLED; None is none.

        Returns:
            The arrays of `fetches`, in the same order.

        Raises:
            StatusError: if the run fails.
        """

    def close(self) -> None:
        """Releases the model's memory; no run may be in progress."""
