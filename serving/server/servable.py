"""Interface of a loaded version of a model."""

from typing import Any, Protocol

import numpy as np

__all__ = ["Servable"]


class Servable(Protocol):
    """A loaded model: a `session.LoadedModel` or an `edge_model.EdgeModel`.

    Attributes:
        signatures: SignatureDef messages by name.

    A model whose `run` also takes a `Cancellation`, as its fourth argument, has the attribute
    `supports_cancellation`.
    """

    signatures: dict[str, Any]

    def run(
        self, feeds: dict[str, np.ndarray], fetches: list[str], timeout: float | None = None
    ) -> list[np.ndarray]:
        """Computes tensors.

        Args:
            feeds: arrays by tensor name; strings as object arrays of bytes.
            fetches: names of the tensors to return.
            timeout: time limit in seconds; None is no limit.

        Returns:
            The arrays of `fetches`, in the same order.

        Raises:
            StatusError: if the run fails.
        """

    def close(self) -> None:
        """Releases the model's memory; no run may be in progress."""
