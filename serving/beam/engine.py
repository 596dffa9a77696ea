"""The signature `translate` of an export, for corpora: fixed options, an error for each row."""

from keras_s2s.serving.client import arguments
from keras_s2s.serving.errors import InvalidArgument, OutOfRange, ResourceExhausted, RowError
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["Engine"]

_OF_ROWS = (InvalidArgument, OutOfRange, ResourceExhausted)  # rows of a batch may be to blame


class Engine:
    """An export that translates in this process; threads may share it.

    Args:
        directory: the version's directory.
        options: inputs of `TRANSLATE` by name, one value each; what is left out is the export's
            own default.
        alignment: whether hypotheses have theirs.

    Raises:
        ValueError: naming the directory: it does not load, it is no translation model, or it
            lacks an option, an output or a default.
    """

    def __init__(self, directory, options: dict | None = None, alignment: bool = False):
        self._options, self._alignment = dict(options or {}), alignment
        arguments.search_inputs(TRANSLATE, [""], self._options)
        self._model = LocalModel(directory)
        try:
            # told now: in a run it would be the mistake of every row
            self._check(self._model.metadata().signatures)
        except ValueError as error:
            self.close()
            raise ValueError(f"{directory}: {error}") from None

    def _check(self, signatures):
        if TRANSLATE.name not in signatures:
            came = ", ".join(name for name in signatures if not name.startswith("__"))
            raise ValueError(f"expected the signature {TRANSLATE.name}, came {came or 'none'}")
        found = signatures[TRANSLATE.name]
        optional = {field.name for field in TRANSLATE.outputs if field.is_optional}
        outputs = [field.name for field in TRANSLATE.outputs if field.name not in optional]
        for kind, wanted, known in (
            ("input", ["text", *self._options], found.inputs),
            ("output", outputs, found.outputs),
            ("default of", found.inputs, {"text", *self._options, *found.defaults}),
        ):
            missing = [name for name in wanted if name not in known]
            if missing:
                raise ValueError(f"its signature {TRANSLATE.name} has no {kind} {missing[0]!r}")

    def translate(self, texts: list[str]) -> list[tuple[list[Hypothesis], str]]:
        """Translates texts at once; a batch that cannot be run is tried again in halves.

        Args:
            texts: B strings, at least one.

        Returns:
            For each text its hypotheses, best first, and what was wrong with it, or "".

        Raises:
            CallError: if a run failed for a reason that lies with no text.
        """
        try:
            found = self._model.translate(texts, alignment=self._alignment, **self._options)
            errors = {}
        except RowError as error:
            found, errors = error.results, error.errors
        except _OF_ROWS as error:
            if len(texts) == 1:
                return [([], error.details)]
            half = len(texts) // 2
            return self.translate(texts[:half]) + self.translate(texts[half:])
        return [(hypotheses, errors.get(row, "")) for row, hypotheses in enumerate(found)]

    def close(self) -> None:
        """Frees the memory."""
        self._model.close()
