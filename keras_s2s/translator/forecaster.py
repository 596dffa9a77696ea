"""Vectors out: frames or texts -> the frames that come next."""

from keras_s2s.signatures.fields import FORECAST
from keras_s2s.translator import responses
from keras_s2s.translator.base_translator import BaseTranslator

__all__ = ["Forecaster"]


class Forecaster(BaseTranslator):
    """A model whose target is real vectors, with what reads its source.

    Args:
        model: a `Seq2Seq` under a `RegressionHead`; it runs in float32 whatever its policy.
        source_tokenizer: `Frames`, or a `Tokenizer` for texts.
        target_tokenizer: `Frames`.
        decoding: default options, of which `steps` is read; `Decoding()` when None.
        caps: what one row may cost, over `keras_s2s.signatures.CAPS`.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a side and the model differ in size.
    """

    has_feature_targets = True
    main = FORECAST.name

    def forecast(self, frames, steps=None, *, batch_size=32, errors="raise"):
        """What comes after each row.

        Args:
            frames: list of float arrays [S, F], or of strings where the source is text.
            steps: frames wanted, one number or one for each row; None takes the run's default.
            batch_size: rows that run together.
            errors: `"raise"`, or `"return"` to get {row: message} beside the result, in which
                such a row has no frame.

        Returns:
            list of `keras_s2s.signatures.Forecast`, values [T, F] for every row.

        Raises:
            UserError: a ValueError, naming a `steps` out of its range or frames that do not do.
        """
        frames = list(frames)
        options = self._options(FORECAST.name, {"steps": steps})
        rows = self._rows(FORECAST, frames, options, batch_size)
        found, problems = responses.split(rows, responses.forecasts)
        return self._answer(frames, found, problems, errors)

    def graph_default(self, *source):
        """The `serving_default` signature: as many steps as the run's default says."""
        found = self._graphs.forecast(*source, **self.constants(self.signatures[self.main]))
        return {name: found[name] for name in ("values", "variances") if name in found}
