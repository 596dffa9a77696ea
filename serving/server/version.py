"""One version of a model and its state."""

from dataclasses import dataclass

from keras_s2s.serving.server import status
from keras_s2s.serving.server.servable import Servable

__all__ = ["AVAILABLE", "END", "LOADING", "START", "UNLOADING", "Version"]

START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50  # TensorFlow Serving's numbers


@dataclass
class Version:
    """One version of a model and its state.

    Attributes:
        number: number of the version.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        code: status code of the last load; 0 unless it failed.
        message: error message of the last load.
        model: the model while it is loaded.
        num_calls: number of calls in progress.
        num_failures: number of failed loads of the same files.
        retry_at: time of the next load after a failure, by `time.monotonic`.
        modified_at: modification time of the version's files at the last load.
        has_vanished: whether the directory has disappeared since the last load.
    """

    number: int
    state: int = START
    code: int = status.OK
    message: str = ""
    model: Servable | None = None
    num_calls: int = 0
    num_failures: int = 0
    retry_at: float = 0.0
    modified_at: float = 0.0
    has_vanished: bool = False

    @property
    def loaded_model(self) -> Servable:
        """The model of an available version."""
        if self.model is None:
            raise RuntimeError(f"version {self.number}: expected a loaded version, got none")
        return self.model
