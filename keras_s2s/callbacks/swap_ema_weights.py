"""Validation with averaged weights."""

import keras

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(keras.callbacks.Callback):
    """Validates with the exponential moving average of the weights (see `TrainingStep.averaged`).

    The trained weights return after the validation. `keras.callbacks.SwapEMAWeights` does not
    support an optimizer with loss scaling.
    """

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._averaged_weights = self.model.averaged()
        self._averaged_weights.__enter__()

    def on_test_end(self, logs: dict | None = None) -> None:
        self._averaged_weights.__exit__(None, None, None)
