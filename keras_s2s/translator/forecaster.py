"""Forecasters: features or texts -> the features that follow."""

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from keras_s2s.signatures.fields import FORECAST
from keras_s2s.translator.base_translator import BaseTranslator

__all__ = ["Forecaster"]


class Forecaster(BaseTranslator):
    """A model whose target is real-valued features, with the tokenizer of its source.

    Args:
        model: a `Seq2Seq` with a `RegressionHead`; it runs in float32 whatever its policy.
        source_tokenizer: `Frames`, or a `Tokenizer` for texts.
        target_tokenizer: `Frames`.
        decoding: default options, of which `steps` is read; `Decoding()` when None.
        caps: limits on the cost of a row, over `keras_s2s.signatures.CAPS`.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a side and the model differ in size.
    """

    has_feature_targets = True
    main = FORECAST.name

    def forecast(
        self,
        frames: Iterable[Any],
        steps: int | Sequence[int] | None = None,
        *,
        batch_size: int = 32,
        errors: str = "raise",
    ) -> Any:
        """Predicts the frames that follow each row.

        Args:
            frames: list of float arrays [S, F], or of strings where the source is text.
            steps: number of frames, one value or one for each row; None is the run's default.
            batch_size: rows that run together.
            errors: `"raise"`, or `"return"` to get {row: message} besides the result, in which
                such a row has no frame.

        Returns:
            list of `keras_s2s.signatures.Forecast`, values [T, F] for every row.

        Raises:
            UserError: a ValueError, naming `steps` out of bounds or invalid frames.
        """
        options = self._with_defaults(FORECAST.name, {"steps": steps})
        return self._run(FORECAST, list(frames), options, batch_size, errors)

    def serving_default(self, *source: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `serving_default`: as many steps as the run's default says."""
        outputs = self._functions.forecast(*source, **self.constants(self.signatures[self.main]))
        return {name: outputs[name] for name in ("values", "variances") if name in outputs}
